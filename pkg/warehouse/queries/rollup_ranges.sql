-- The ranges of sequences that are rolled up, in the order in which a report looks for the fewest that follow each
-- other. They are the first rows of the table's order.
SELECT size, first, version, roll, quarantined, at
FROM rollups FINAL
WHERE association_id = toUUID('00000000-0000-0000-0000-000000000000') AND kind = 'range'
ORDER BY first, size DESC
