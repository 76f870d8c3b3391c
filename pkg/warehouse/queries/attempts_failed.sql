-- The events that failed for good at an endpoint and did not arrive since, in the order of their streams.
SELECT source, sequence
FROM webhook_attempts
WHERE endpoint_id = {endpoint:UUID} AND at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC') AND source != ''
GROUP BY source, sequence
HAVING argMax(verdict, (at, attempt)) = 'failed' AND (source, sequence) > ({after_source:String}, {after:UInt64})
ORDER BY source, sequence
LIMIT {limit:UInt32}
