-- One company's pairs in a year, in every association that counts them: what the chosen roll-ups add up to, and the
-- events behind them.
SELECT
    association,
    currency,
    partner,
    sum(amount) AS amount,
    sum(attested_by_parties) AS attested_by_parties,
    sum(deals) AS deals,
    sum(unconverted) AS unconverted
FROM
(
    SELECT
        association_id AS association, currency, if(a = {company:UUID}, b, a) AS partner,
        amount, attested_by_parties, deals, unconverted
    FROM rollups
    WHERE (size, first, roll) IN {chosen:Array(Tuple(UInt64, UInt64, UInt64))}
      AND kind = 'pair' AND year = {year:Int32} AND (a = {company:UUID} OR b = {company:UUID})
    UNION ALL
    SELECT
        e.association_id AS association, e.currency AS currency, if(e.a = {company:UUID}, e.b, e.a) AS partner,
        toInt128(e.amount) AS amount, if(e.by_parties = 1, toInt128(e.amount), 0) AS attested_by_parties,
        toInt64(e.deals) AS deals, toInt64(e.unconverted) AS unconverted
    FROM deal_events FINAL
    ARRAY JOIN entry AS e
    WHERE seq > {after:UInt64} AND seq <= {up_to:UInt64}
      AND notEmpty(entry.kind)
      AND e.kind = 'pair'
      AND (e.a = {company:UUID} OR e.b = {company:UUID})
      AND e.year = {year:Int32}
)
GROUP BY association, currency, partner
HAVING amount != 0 OR deals != 0 OR unconverted != 0
