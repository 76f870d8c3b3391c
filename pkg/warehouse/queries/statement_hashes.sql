-- The hash of every event's payload in a range of the log, each sequence once, in their order.
SELECT seq, payload_hash
FROM deal_events FINAL
WHERE seq > {after:UInt64} AND seq <= {up_to:UInt64}
ORDER BY seq
