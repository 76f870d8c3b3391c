-- What one company's own deals count for in a year, in every association that counts them, each deal as a whole: the
-- association's entries of those attributions that have a pair with the company. An event posts at most one attribution
-- of an association with each sign, so the sign tells which pairs belong to it. What waits for a rate has no pairs: it is
-- the company's when the company was a party at that event.
--
-- Deals to which it was no party at any event that posted to the year are left out first, before their entries are read: few
-- are left, and of few pieces of the log. So PREWHERE, which FINAL does not choose by itself. It may, since all rows of a
-- sequence that have entries are of the same deal.
WITH arrayExists(j -> entry.kind[j] = 'pair' AND entry.association_id[j] = entry.association_id[i] AND entry.deals[j] = entry.deals[i]
    AND (entry.a[j] = {company:UUID} OR entry.b[j] = {company:UUID}), arrayEnumerate(entry.kind)) AS own
SELECT
    association,
    currency,
    sum(amount) AS amount,
    sum(attested_by_parties) AS attested_by_parties,
    sum(deals) AS deals,
    toInt64(countIf(waiting AND is_party)) AS unconverted
FROM
(
    SELECT
        deal_id,
        entry.association_id[i] AS association,
        entry.currency[i] AS currency,
        sumIf(toInt128(entry.amount[i]), own) AS amount,
        sumIf(toInt128(entry.amount[i]), own AND entry.by_parties[i] = 1) AS attested_by_parties,
        sumIf(toInt64(entry.deals[i]), own) AS deals,
        sum(toInt64(entry.unconverted[i])) > 0 AS waiting,
        argMax(has(companies, {company:UUID}), seq) AS is_party
    FROM deal_events FINAL
    ARRAY JOIN arrayEnumerate(entry.kind) AS i
    PREWHERE deal_id IN (
        SELECT deal_id FROM deal_events
        WHERE seq <= {up_to:UInt64} AND has(entry.year, {year:Int32}) AND has(companies, {company:UUID}))
    WHERE seq <= {up_to:UInt64}
      AND notEmpty(entry.kind)
      AND entry.kind[i] = 'association'
      AND entry.year[i] = {year:Int32}
      AND entry.association_id[i] != toUUID('00000000-0000-0000-0000-000000000000') -- that of all together
    GROUP BY deal_id, association, currency
)
GROUP BY association, currency
HAVING amount != 0 OR deals != 0 OR unconverted != 0
ORDER BY association
