-- By how much the numbers of a company's deals, or of an association's, by where they stand, change from the end of one prefix
-- of the log to the end of another; from the empty prefix it is the numbers themselves. Only deals with an event between the
-- two change them: each counts with its latest state of before taken back, and its latest state now added. Each event is
-- reduced to one number before, so that a deal is a few bytes: where it stands, whether it waits, was won in the year; 0 when
-- it is not of those asked about. A sequence has one sound row, or copies of it, so its order is enough. From the empty prefix
-- a company narrows the deals: most have few. What waits for a rate is the sum of what events posted; few events post such.
WITH toUInt8(
    transform(status, ['pending', 'active', 'closing', 'disputed'], [1, 2, 3, 4], 0)
    + 16 * (status = 'won' AND ifNull(won_on >= toDate32({won_from:Int32}) AND won_on < toDate32({won_before:Int32}), false))
    + 32 * (NOT {any_company:Bool} AND has(waits_for, {company:UUID}) OR {any_company:Bool} AND notEmpty(waits_for))
) * (NOT {any_company:Bool} AND (has(companies, {company:UUID}) OR has(joining, {company:UUID}))
    OR NOT {any_association:Bool} AND has(associations, {association:UUID})) AS state
SELECT
    sumIf(sign, bitTest(stands, 5)) AS waiting,
    sumIf(sign, bitAnd(stands, 7) = 1) AS pending,
    sumIf(sign, bitAnd(stands, 7) = 2) AS active,
    sumIf(sign, bitAnd(stands, 7) = 3) AS closing,
    sumIf(sign, bitAnd(stands, 7) = 4) AS disputed,
    sumIf(sign, bitTest(stands, 4)) AS won,
    (
        SELECT sum(posted)
        FROM
        (
            SELECT argMax(
                arraySum((n, kind, id) -> if(kind = 'association' AND id = {association:UUID}, n, 0),
                    entry.unconverted, entry.kind, entry.association_id), version) AS posted
            FROM deal_events
            PREWHERE arrayExists(n -> n != 0, entry.unconverted)
            WHERE seq > {after:UInt64} AND seq <= {up_to:UInt64}
              AND NOT {any_association:Bool} -- without one it would be that of all together
            GROUP BY seq
        )
    ) AS unconverted
FROM
(
    SELECT argMax(state, seq) AS latest, argMaxIf(state, seq, seq <= {after:UInt64}) AS before
    FROM deal_events
    WHERE seq <= {up_to:UInt64}
      AND poison = ''
      AND ({after:UInt64} = 0 AND {any_company:Bool} OR deal_id IN (
          SELECT deal_id
          FROM deal_events
          WHERE seq > {after:UInt64} AND seq <= {up_to:UInt64}
            AND ({after:UInt64} > 0 OR has(companies, {company:UUID}) OR has(joining, {company:UUID}))))
    GROUP BY deal_id
)
ARRAY JOIN [latest, before] AS stands, [toInt64(1), toInt64(-1)] AS sign
