-- One company's pairs in a year, in every association that counts them: what the chosen roll-ups add up to, and the
-- events behind them. The row of the kind 'range' tells how many sequences the roll-ups stand for that were found.
SELECT
    view,
    association,
    currency,
    partner,
    sum(amount) AS amount,
    sum(attested_by_parties) AS attested_by_parties,
    sum(deals) AS deals,
    sum(unconverted) AS unconverted,
    sum(sequences) AS sequences
FROM
(
    SELECT
        toInt8(kind) AS view, association_id AS association, currency, if(a = {company:UUID}, b, a) AS partner,
        amount, attested_by_parties, deals, unconverted, sequences
    FROM rollups
    WHERE (size, first, roll) IN {chosen:Array(Tuple(UInt64, UInt64, UInt64))}
      AND (association_id = toUUID('00000000-0000-0000-0000-000000000000') AND kind = 'range'
        OR kind = 'pair' AND year = {year:Int32} AND (a = {company:UUID} OR b = {company:UUID}))
    UNION ALL
    SELECT
        toInt8(e.kind) AS view, e.association_id AS association, e.currency AS currency, if(e.a = {company:UUID}, e.b, e.a) AS partner,
        toInt128(e.amount) AS amount, if(e.by_parties = 1, toInt128(e.amount), 0) AS attested_by_parties,
        toInt64(e.deals) AS deals, toInt64(e.unconverted) AS unconverted, 0 AS sequences
    FROM deal_events FINAL
    ARRAY JOIN entry AS e
    WHERE seq > {after:UInt64} AND seq <= {up_to:UInt64}
      AND notEmpty(entry.kind)
      AND e.kind = 'pair'
      AND (e.a = {company:UUID} OR e.b = {company:UUID})
      AND e.year = {year:Int32}
)
GROUP BY view, association, currency, partner
HAVING sequences != 0 OR amount != 0 OR deals != 0 OR unconverted != 0
