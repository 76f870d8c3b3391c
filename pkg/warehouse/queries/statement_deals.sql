-- What each deal counts for in an association's year, after each event that posted to it: the entries that the event
-- added, and not those that it took back, since it takes back all that stood before. None added: it counts for nothing.
WITH
    arrayFilter(i -> entry.association_id[i] = {association:UUID} AND entry.year[i] = {year:Int32}, arrayEnumerate(entry.kind)) AS posted,
    arrayFilter(i -> entry.deals[i] > 0 OR entry.unconverted[i] > 0, posted) AS added
SELECT
    deal_id,
    seq,
    companies,
    if(empty(groups), companies, groups) AS groups_then,
    arrayMap(i -> toInt8(entry.kind[i]), added) AS kinds,
    arrayMap(i -> toInt32(entry.month[i]), added) AS months,
    arrayMap(i -> entry.a[i], added) AS a,
    arrayMap(i -> entry.b[i], added) AS b,
    arrayMap(i -> toString(entry.currency[i]), added) AS currencies,
    arrayMap(i -> entry.amount[i], added) AS amounts,
    arrayMap(i -> toBool(entry.by_parties[i]), added) AS by_parties,
    arrayMap(i -> toBool(entry.unconverted[i] > 0), added) AS unconverted
FROM deal_events FINAL
WHERE seq <= {up_to:UInt64}
  AND has(entry.association_id, {association:UUID})
  AND notEmpty(posted)
ORDER BY deal_id, seq
