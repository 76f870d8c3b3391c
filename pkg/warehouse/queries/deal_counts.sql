-- Counts the deals of a company, or of an association, by where they stand at the end of a prefix of the log. Each event is
-- reduced to what is counted before the latest one of its deal is taken, so that no text is read and little is kept. The
-- events of whoever is asked about narrow the deals first. What waits for a rate is the sum of what its events posted.
SELECT
    countIf(latest.3) AS waiting,
    countIf(latest.2 = 'pending') AS pending,
    countIf(latest.2 = 'active') AS active,
    countIf(latest.2 = 'closing') AS closing,
    countIf(latest.2 = 'disputed') AS disputed,
    countIf(latest.4) AS won,
    (
        SELECT sum(e.unconverted)
        FROM deal_events FINAL
        ARRAY JOIN entry AS e
        WHERE seq <= {as_of:UInt64}
          AND e.unconverted != 0
          AND e.kind = 'association'
          AND e.association_id = {association:UUID}
          AND e.association_id != toUUID('00000000-0000-0000-0000-000000000000') -- that of all together
    ) AS unconverted
FROM
(
    SELECT argMax(
        (
            has(companies, {company:UUID}) OR has(joining, {company:UUID}) OR has(associations, {association:UUID}),
            status,
            has(waits_for, {company:UUID}) OR {any_company:Bool} AND notEmpty(waits_for),
            status = 'won' AND ifNull(won_on >= toDate32({won_from:Int32}) AND won_on < toDate32({won_before:Int32}), false)
        ), (seq, version)) AS latest
    FROM deal_events
    WHERE seq <= {as_of:UInt64}
      AND poison = ''
      AND deal_id IN (
          SELECT deal_id
          FROM deal_events
          WHERE has(companies, {company:UUID}) OR has(joining, {company:UUID}) OR has(associations, {association:UUID}))
    GROUP BY deal_id
)
WHERE latest.1
