-- Every company that any event of a deal names as a party, or as one that an open correction would take in, with its
-- corporate group then, for the deals that ever counted in an association's year.
WITH groupUniqArrayArray(arrayConcat(
    arrayZip(companies, if(empty(groups), companies, groups)),
    arrayMap(c -> (c, c), joining))) AS told
SELECT
    deal_id,
    arrayMap(p -> p.1, arraySort(told)) AS companies_told,
    arrayMap(p -> p.2, arraySort(told)) AS groups_told
FROM deal_events
WHERE seq <= {up_to:UInt64}
  AND deal_id IN (
      SELECT deal_id
      FROM deal_events
      WHERE seq <= {up_to:UInt64}
        AND arrayExists((a, y) -> a = {association:UUID} AND y = {year:Int32}, entry.association_id, entry.year))
GROUP BY deal_id
ORDER BY deal_id
