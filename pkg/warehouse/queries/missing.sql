-- The first sequence that is not stored: the one behind the first row whose successor is not the next sequence. One more row
-- stands behind the last sequence that is asked about, so that a piece that lacks its end shows it too; in front of the first
-- row lies 0. Copies of a sequence follow each other and leave no hole, so nothing needs FINAL. 0 when none is missing.
SELECT ifNull(minOrNull(previous) + 1, 0) AS missing
FROM
(
    SELECT seq, lagInFrame(seq) OVER (ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS previous
    FROM
    (
        SELECT seq FROM deal_events WHERE seq <= {up_to:UInt64}
        UNION ALL
        SELECT {up_to:UInt64} + 1
    )
)
WHERE seq > previous + 1
