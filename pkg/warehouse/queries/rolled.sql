-- What the chosen roll-ups add up to of an association's year and the one before, by month, and of its year by chapter (a)
-- or by pair (a, b). Chapters, pairs and months are views of the same amounts. The order of the table makes it a short read.
SELECT
    toInt8(kind) AS view,
    year,
    toInt32(month) AS month,
    a,
    b,
    currency,
    sum(amount) AS amount,
    sum(attested_by_parties) AS attested_by_parties,
    sum(deals) AS deals,
    sum(unconverted) AS unconverted
FROM rollups
WHERE (size, first, roll) IN {chosen:Array(Tuple(UInt64, UInt64, UInt64))}
  AND association_id = {association:UUID}
  AND (kind = 'association' AND year IN ({year:Int32}, {year:Int32} - 1) OR kind = {kind:String} AND year = {year:Int32})
GROUP BY view, year, month, a, b, currency
