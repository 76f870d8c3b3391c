-- An association's year by the calendar month of won_on. Months are the 'association' entries, cut by their month.
SELECT
    toInt32(e.month) AS month,
    sum(toInt128(e.amount)) AS amount,
    sumIf(toInt128(e.amount), e.by_parties = 1) AS attested_by_parties,
    sum(toInt64(e.deals)) AS deals,
    sum(toInt64(e.unconverted)) AS unconverted
FROM deal_events FINAL
ARRAY JOIN entry AS e
WHERE seq <= {up_to:UInt64}
  AND notEmpty(entry.kind)
  AND e.kind = 'association'
  AND e.association_id = {association:UUID}
  AND e.year = {year:Int32}
GROUP BY month
HAVING amount != 0 OR deals != 0 OR unconverted != 0
ORDER BY month
