-- Finds deals that may have waited long enough for the system to move them on, in the order of their ids. The moment
-- from which a deal waits is always that of one of its events: the one that brought it to where it is, or the latest. So
-- only deals with an old event in an open status are looked at, less those that were won or ended, which never open
-- again, and then only their latest state counts. An import is won at its first event and was never open. Some that are
-- not due may be among the found, none that is due is missing.
SELECT deal_id
FROM deal_events
WHERE poison = ''
  AND deal_id IN (
      SELECT deal_id
      FROM deal_events
      WHERE poison = ''
        AND deal_id > {after:UUID}
        AND multiIf(status = 'pending', at <= fromUnixTimestamp64Milli({pending:Int64}, 'UTC'),
                    status = 'closing', at <= fromUnixTimestamp64Milli({closing:Int64}, 'UTC'),
                    status = 'active', at <= fromUnixTimestamp64Milli({active:Int64}, 'UTC'), false)
        AND deal_id NOT IN (
            SELECT deal_id
            FROM deal_events
            WHERE poison = '' AND revision > 1 AND status NOT IN ('pending', 'active', 'closing', 'disputed')))
GROUP BY deal_id
HAVING multiIf(argMax(status, (seq, version)) = 'pending',
                   minIf(at, status = 'pending') <= fromUnixTimestamp64Milli({pending:Int64}, 'UTC'),
               argMax(status, (seq, version)) = 'closing',
                   minIf(at, status = 'closing') <= fromUnixTimestamp64Milli({closing:Int64}, 'UTC'),
               argMax(status, (seq, version)) = 'active',
                   argMax(at, (seq, version)) <= fromUnixTimestamp64Milli({active:Int64}, 'UTC'), false)
ORDER BY deal_id
LIMIT {limit:UInt32}
