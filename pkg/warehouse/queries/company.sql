-- One company's pairs in a year, in every association that counts them.
SELECT
    e.association_id AS association,
    e.currency AS currency,
    if(e.a = {company:UUID}, e.b, e.a) AS partner,
    sum(toInt128(e.amount)) AS amount,
    sumIf(toInt128(e.amount), e.by_parties = 1) AS attested_by_parties,
    sum(toInt64(e.deals)) AS deals,
    sum(toInt64(e.unconverted)) AS unconverted
FROM deal_events FINAL
ARRAY JOIN entry AS e
WHERE seq <= {up_to:UInt64}
  AND notEmpty(entry.kind)
  AND e.kind = 'pair'
  AND (e.a = {company:UUID} OR e.b = {company:UUID})
  AND e.year = {year:Int32}
GROUP BY association, currency, partner
HAVING amount != 0 OR deals != 0 OR unconverted != 0
