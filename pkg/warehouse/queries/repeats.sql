-- Finds deals that may repeat others: for one of the customers, with one of the companies as a party, by the latest
-- state that is stored. The expression is that of customer_key.
SELECT deal_id, customer, customer_domain, companies, won_on
FROM
(
    SELECT deal_id, status, registered_by, companies, won_on, customer, customer_domain
    FROM deal_events
    WHERE poison = ''
      AND deal_id IN
      (
          SELECT deal_id FROM deal_events
          WHERE customer_key IN
          (
              SELECT replaceAll(replaceAll(replaceRegexpAll(lowerUTF8(arrayJoin({customers:Array(String)})), '[\\pP\\pZ\\pC\\pM]+', ''), 'ß', 'ss'), 'ς', 'σ')
          )
          AND hasAny(companies, {companies:Array(UUID)})
          UNION ALL
          SELECT deal_id FROM deal_events
          WHERE has({domains:Array(String)}, customer_domain)
          AND hasAny(companies, {companies:Array(UUID)})
      )
    ORDER BY seq DESC, version DESC
    LIMIT 1 BY deal_id
)
WHERE status NOT IN ('declined', 'expired', 'withdrawn', 'lost', 'void')
  AND registered_by != {not_by:UUID}
