-- Rolls up a range in one block: the settings keep the server from cutting it, so the row of kind 'range' is never there
-- without the others. That row's facts were read before: when a row is repaired meanwhile, they are too old, not too new, and
-- the range is rolled up again. One thread, since reports and inserts go first. Chapters and pairs are no further cut
-- into months, which would be as many rows again.
INSERT INTO rollups (association_id, kind, year, size, first, month, a, b, currency, version, roll, amount, attested_by_parties, deals,
    unconverted, sequences, quarantined, at)
SELECT
    e.association_id AS association,
    CAST(toInt8(e.kind), 'Enum8(\'range\' = 0, \'association\' = 1, \'chapter\' = 2, \'pair\' = 3)') AS kind,
    e.year AS year,
    {size:UInt64},
    {first:UInt64},
    if(e.kind = 'association', e.month, toDate32(0)) AS month,
    e.a AS a,
    e.b AS b,
    e.currency AS currency,
    {version:UInt64},
    {roll:UInt64},
    sum(toInt128(e.amount)),
    sumIf(toInt128(e.amount), e.by_parties = 1),
    sum(toInt64(e.deals)),
    sum(toInt64(e.unconverted)),
    0, 0, toDateTime64(0, 3, 'UTC')
FROM deal_events FINAL
ARRAY JOIN entry AS e
WHERE seq >= {first:UInt64} AND seq < {first:UInt64} + {size:UInt64}
  AND notEmpty(entry.kind)
GROUP BY association, kind, year, month, a, b, currency
UNION ALL
SELECT
    toUUID('00000000-0000-0000-0000-000000000000'), 'range', 0, {size:UInt64}, {first:UInt64}, toDate32(0),
    toUUID('00000000-0000-0000-0000-000000000000'), toUUID('00000000-0000-0000-0000-000000000000'), '', {version:UInt64}, {roll:UInt64},
    0, 0, 0, 0, {sequences:UInt64}, {quarantined:UInt64}, fromUnixTimestamp64Milli({at:Int64}, 'UTC')
SETTINGS max_threads = 1, max_insert_threads = 1, min_insert_block_size_rows = 1000000000000, min_insert_block_size_bytes = 0
