-- The same as in rolled.sql of the events behind the roll-ups. Most events post nothing, so rows without entries are left
-- out before the arrays are opened.
SELECT
    toInt8(e.kind) AS view,
    e.year AS year,
    if(e.kind = 'association', toInt32(e.month), 0) AS month,
    e.a AS a,
    e.b AS b,
    e.currency AS currency,
    sum(toInt128(e.amount)) AS amount,
    sumIf(toInt128(e.amount), e.by_parties = 1) AS attested_by_parties,
    sum(toInt64(e.deals)) AS deals,
    sum(toInt64(e.unconverted)) AS unconverted
FROM deal_events FINAL
ARRAY JOIN entry AS e
WHERE seq > {after:UInt64} AND seq <= {up_to:UInt64}
  AND notEmpty(entry.kind)
  AND e.association_id = {association:UUID}
  AND (e.kind = 'association' AND e.year IN ({year:Int32}, {year:Int32} - 1) OR e.kind = {kind:String} AND e.year = {year:Int32})
GROUP BY view, year, month, a, b, currency
