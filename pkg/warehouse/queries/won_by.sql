-- Finds deals that were ever won with one of the companies as a party, in the order of their ids.
SELECT DISTINCT deal_id
FROM deal_events
ARRAY JOIN companies AS company
WHERE poison = ''
  AND status = 'won'
  AND deal_id > {after:UUID}
  AND company IN (SELECT arrayJoin({companies:Array(UUID)}))
ORDER BY deal_id
LIMIT {limit:UInt32}
