-- An association's year by chapter (a) or by pair (a, b). Parts whose every entry was taken back are no parts.
SELECT
    e.a AS part_a,
    e.b AS part_b,
    sum(toInt128(e.amount)) AS amount,
    sumIf(toInt128(e.amount), e.by_parties = 1) AS attested_by_parties,
    sum(toInt64(e.deals)) AS deals,
    sum(toInt64(e.unconverted)) AS unconverted
FROM deal_events FINAL
ARRAY JOIN entry AS e
WHERE seq <= {up_to:UInt64}
  AND notEmpty(entry.kind)
  AND e.kind = {kind:String}
  AND e.association_id = {association:UUID}
  AND e.year = {year:Int32}
GROUP BY part_a, part_b
HAVING amount != 0 OR deals != 0 OR unconverted != 0
