-- Counts the deals of a company, or of an association, by where they stand at the end of a prefix of the log. Each event is
-- reduced to one number before the latest one of its deal is taken, so that all deals of an association are counted in one
-- pass with a few bytes for each: where it stands, whether it waits, was won in the year, is of those asked about. A sequence
-- has one sound row, or copies of it, so its order is enough. A company narrows the deals first: most have few. What waits
-- for a rate is the sum of what its events posted; few events post such.
WITH ['pending', 'active', 'closing', 'disputed'] AS counted
SELECT
    countIf(bitTest(latest, 5)) AS waiting,
    countIf(bitAnd(latest, 7) = 1) AS pending,
    countIf(bitAnd(latest, 7) = 2) AS active,
    countIf(bitAnd(latest, 7) = 3) AS closing,
    countIf(bitAnd(latest, 7) = 4) AS disputed,
    countIf(bitTest(latest, 4)) AS won,
    (
        SELECT sum(posted)
        FROM
        (
            SELECT argMax(
                arraySum((n, kind, id) -> if(kind = 'association' AND id = {association:UUID}, n, 0),
                    entry.unconverted, entry.kind, entry.association_id), version) AS posted
            FROM deal_events
            PREWHERE arrayExists(n -> n != 0, entry.unconverted)
            WHERE seq <= {as_of:UInt64} AND NOT {any_association:Bool} -- without one it would be that of all together
            GROUP BY seq
        )
    ) AS unconverted
FROM
(
    SELECT argMax(
        toUInt8(
            indexOf(counted, status)
            + 16 * (status = 'won' AND ifNull(won_on >= toDate32({won_from:Int32}) AND won_on < toDate32({won_before:Int32}), false))
            + 32 * (has(waits_for, {company:UUID}) OR {any_company:Bool} AND notEmpty(waits_for))
            + 64 * (has(companies, {company:UUID}) OR has(joining, {company:UUID}) OR has(associations, {association:UUID}))
        ), seq) AS latest
    FROM deal_events
    WHERE seq <= {as_of:UInt64}
      AND poison = ''
      AND ({any_company:Bool} OR deal_id IN (
          SELECT deal_id FROM deal_events WHERE has(companies, {company:UUID}) OR has(joining, {company:UUID})))
    GROUP BY deal_id
)
WHERE bitTest(latest, 6)
