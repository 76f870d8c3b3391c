-- An association's year and the one before, by month, and its year by chapter (a) or by pair (a, b): what the chosen
-- roll-ups add up to, and the events behind them. Chapters, pairs and months are views of the same amounts. The row of kind
-- 'range' tells how many sequences the roll-ups stand for that were found in the same reading: fewer than chosen when
-- some were taken away since. Most events post nothing, so rows without entries are left out before the arrays are opened.
SELECT
    view,
    year,
    toInt32(month) AS month,
    a,
    b,
    currency,
    sum(amount) AS amount,
    sum(attested_by_parties) AS attested_by_parties,
    sum(deals) AS deals,
    sum(unconverted) AS unconverted,
    sum(sequences) AS sequences
FROM
(
    SELECT toInt8(kind) AS view, year, month, a, b, currency, amount, attested_by_parties, deals, unconverted, sequences
    FROM rollups
    WHERE (size, first, roll) IN {chosen:Array(Tuple(UInt64, UInt64, UInt64))}
      AND (association_id = toUUID('00000000-0000-0000-0000-000000000000') AND kind = 'range'
        OR association_id = {association:UUID} AND kind = 'association' AND year IN ({year:Int32}, {year:Int32} - 1)
        OR association_id = {association:UUID} AND kind = {kind:String} AND year = {year:Int32})
    UNION ALL
    SELECT
        toInt8(e.kind) AS view, e.year AS year, if(e.kind = 'association', e.month, toDate32(0)) AS month, e.a AS a, e.b AS b,
        e.currency AS currency,
        sum(toInt128(e.amount)) AS amount, sumIf(toInt128(e.amount), e.by_parties = 1) AS attested_by_parties,
        sum(toInt64(e.deals)) AS deals, sum(toInt64(e.unconverted)) AS unconverted, 0 AS sequences
    FROM deal_events FINAL
    ARRAY JOIN entry AS e
    WHERE seq > {after:UInt64} AND seq <= {up_to:UInt64}
      AND notEmpty(entry.kind)
      AND e.association_id = {association:UUID}
      AND (e.kind = 'association' AND e.year IN ({year:Int32}, {year:Int32} - 1) OR e.kind = {kind:String} AND e.year = {year:Int32})
    GROUP BY view, year, month, a, b, currency
)
GROUP BY view, year, month, a, b, currency
