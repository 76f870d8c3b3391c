-- Finds deals won on certain days whose value is in another currency than EUR, in which all associations together are
-- counted, or than the one in which an association of theirs reports, in the order of their ids. It asks what a deal ever was, not only what it is now: a few more are found, and
-- nothing must be sorted to know the latest state.
SELECT DISTINCT deal_id
FROM deal_events
WHERE poison = ''
  AND status = 'won'
  AND deal_id > {after:UUID}
  AND won_on IS NOT NULL
  AND arrayExists((first, last) -> toInt32(assumeNotNull(won_on)) BETWEEN first AND last, {first:Array(Int32)}, {last:Array(Int32)})
  AND (value_currency != 'EUR' OR arrayExists(
      a -> transform(toString(a), {associations:Array(String)}, {currencies:Array(String)}, '') != toString(value_currency),
      associations))
ORDER BY deal_id
LIMIT {limit:UInt32}
