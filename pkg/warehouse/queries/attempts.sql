-- One page of an endpoint's attempts, the newest first.
SELECT endpoint_id, at, event_id, attempt, event_type, source, sequence, took_us, outcome, verdict, words, status, excerpt
FROM webhook_attempts FINAL
WHERE endpoint_id = {endpoint:UUID}
    AND at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')
    AND ({event:String} = '' OR event_id = {event:String})
    AND ({outcome:String} = '' OR outcome = {outcome:String} OR verdict = {outcome:String})
    AND (at, event_id, attempt) < (fromUnixTimestamp64Micro({before:Int64}, 'UTC'), {before_event:String}, {before_attempt:UInt16})
ORDER BY at DESC, event_id DESC, attempt DESC
LIMIT {limit:UInt32}
