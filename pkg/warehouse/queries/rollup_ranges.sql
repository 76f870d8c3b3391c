-- The ranges of sequences that are rolled up, in the order in which a report looks for the fewest that follow each
-- other. They are the first rows of the table's order. Of several roll-ups of a range one of the latest version is taken,
-- without FINAL, which would cost as much again: whichever it is, a report tells when it is gone.
SELECT size, first, version, roll, quarantined, at
FROM rollups
WHERE association_id = toUUID('00000000-0000-0000-0000-000000000000') AND kind = 'range'
ORDER BY first, size DESC, version DESC, roll
LIMIT 1 BY first, size
