-- The checkpoint lives in the sink: the highest sequence that is stored, and what proves that the log still holds the
-- same event there. The order of the table's key makes this one granule. No row while nothing is stored.
SELECT seq, payload_hash, at
FROM deal_events
ORDER BY seq DESC, version DESC
LIMIT 1
