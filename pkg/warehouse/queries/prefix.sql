-- Every sequence becomes a row, so a piece of the log is whole when as many sequences are stored as lie between its
-- ends. Copies of a sequence count once, hence the sets. `at` is that of the last event.
SELECT
    min(seq) AS first,
    max(seq) AS last,
    uniqExact(seq) AS sequences,
    uniqExactIf(seq, poison != '') AS quarantined,
    argMax(at, (seq, version)) AS at,
    sum(toUInt64(version)) AS versions
FROM deal_events FINAL
WHERE seq > {after:UInt64} AND seq <= {up_to:UInt64}
