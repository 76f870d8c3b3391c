-- Finds deals by their latest state in a prefix of the log, newest first, among those that changed behind a sequence. The
-- prefix is fixed by the first page, so a deal that moves on meanwhile neither repeats nor hides on a later page. LIMIT 1 BY
-- keeps the first row of each deal in falling order of sequence, which is its latest state and also drops copies; the filters
-- come after it, since they ask what the deal is now and not what it was. What the latest row must be, a row must be: so the
-- company, the status and who is waited for narrow the candidates first, since few deals are of one company or disputed.
-- Whether a deal waits for a rate, its ledger entries say, which stand in the events that posted them; few events post such.
SELECT deal_id, seq
FROM
(
    SELECT seq, deal_id, status, won_on, at, companies, associations, roles, joining, waits_for, told, title, customer,
        customer_domain, external_ref
    FROM deal_events
    WHERE seq > {after:UInt64} AND seq <= {as_of:UInt64}
      AND poison = ''
      AND ({any_deal:Bool} OR deal_id IN (SELECT arrayJoin({deals:Array(UUID)})))
      AND ({any_company:Bool} AND {any_waiting:Bool} AND empty({statuses:Array(String)}) OR deal_id IN (
          SELECT deal_id
          FROM deal_events
          WHERE seq > {after:UInt64} AND seq <= {as_of:UInt64}
            AND ({any_company:Bool} OR has(companies, {company:UUID}) OR has(joining, {company:UUID}))
            AND ({any_waiting:Bool} OR has(waits_for, {company:UUID}) OR NOT told)
            AND (empty({statuses:Array(String)}) OR has({statuses:Array(String)}, status))))
      AND (NOT {unconverted:Bool} OR deal_id IN (
          SELECT deal_id
          FROM deal_events FINAL
          ARRAY JOIN entry AS e
          PREWHERE arrayExists(n -> n != 0, entry.unconverted)
          WHERE seq <= {as_of:UInt64}
            AND e.unconverted != 0
            AND e.kind = 'association'
            AND ({any_association:Bool} OR e.association_id = {association:UUID})
            AND e.association_id != toUUID('00000000-0000-0000-0000-000000000000') -- that of all together
          GROUP BY deal_id, e.association_id
          HAVING sum(e.unconverted) > 0))
    ORDER BY seq DESC, version DESC
    LIMIT 1 BY deal_id
)
WHERE seq < {before:UInt64}
  AND ({any_company:Bool} OR has(companies, {company:UUID}) OR has(joining, {company:UUID}))
  AND ({role:String} = '' OR roles[indexOf(companies, {company:UUID})] = {role:String} OR NOT told)
  AND ({any_waiting:Bool} OR has(waits_for, {company:UUID}) OR NOT told AND status IN ('pending', 'closing', 'won'))
  AND ({any_association:Bool} OR has(associations, {association:UUID}))
  AND (empty({statuses:Array(String)}) OR has({statuses:Array(String)}, status))
  AND arrayAll(word -> positionCaseInsensitiveUTF8(concat(title, '\n', customer, '\n', external_ref), word) > 0, {words:Array(String)})
  AND (positionCaseInsensitiveUTF8(customer, {customer:String}) > 0 OR customer_domain = lowerUTF8({customer:String}))
  AND ({any_year:Bool} OR (won_on >= toDate32({won_from:Int32}) AND won_on < toDate32({won_before:Int32})))
  AND at >= fromUnixTimestamp64Milli({updated_since:Int64}, 'UTC')
ORDER BY seq DESC
LIMIT {limit:UInt32}
