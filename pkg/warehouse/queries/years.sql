-- What an association's deals add up to in a year and in the one before. Only the entries of the kind 'association'
-- are summed: chapters and pairs are other views of the same amounts. Most events post nothing, so rows without
-- entries are left out before the arrays are opened.
SELECT
    e.year AS year,
    sum(toInt128(e.amount)) AS amount,
    sumIf(toInt128(e.amount), e.by_parties = 1) AS attested_by_parties,
    sum(toInt64(e.deals)) AS deals,
    sum(toInt64(e.unconverted)) AS unconverted,
    groupUniqArray(e.currency) AS currencies
FROM deal_events FINAL
ARRAY JOIN entry AS e
WHERE seq <= {up_to:UInt64}
  AND notEmpty(entry.kind)
  AND e.kind = 'association'
  AND e.association_id = {association:UUID}
  AND e.year IN ({year:Int32}, {year:Int32} - 1)
GROUP BY year
