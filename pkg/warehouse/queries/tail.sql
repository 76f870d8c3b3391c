-- The same as in rolled.sql of the events behind the roll-ups. Most events post nothing, so rows without entries are left
-- out before the arrays are opened. The arrays are named one by one: opening `entry` as a whole takes a quarter longer.
SELECT
    toInt8(view_kind) AS view,
    entry_year AS year,
    if(view_kind = 'association', toInt32(won_month), 0) AS month,
    company_a AS a,
    company_b AS b,
    entry_currency AS currency,
    sum(toInt128(minor)) AS amount,
    sumIf(toInt128(minor), parties = 1) AS attested_by_parties,
    sum(toInt64(counted)) AS deals,
    sum(toInt64(waiting)) AS unconverted
FROM deal_events FINAL
ARRAY JOIN
    entry.kind AS view_kind,
    entry.association_id AS association,
    entry.year AS entry_year,
    entry.month AS won_month,
    entry.a AS company_a,
    entry.b AS company_b,
    entry.currency AS entry_currency,
    entry.amount AS minor,
    entry.by_parties AS parties,
    entry.deals AS counted,
    entry.unconverted AS waiting
WHERE seq > {after:UInt64} AND seq <= {up_to:UInt64}
  AND notEmpty(entry.kind)
  AND association = {association:UUID}
  AND (view_kind = 'association' AND entry_year IN ({year:Int32}, {year:Int32} - 1) OR view_kind = {kind:String} AND entry_year = {year:Int32})
GROUP BY view, year, month, a, b, currency
