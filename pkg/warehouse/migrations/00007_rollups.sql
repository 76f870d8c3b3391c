-- +goose Up
-- What closed ranges of sequences add up to, so that a report reads these and the few events behind them. The roll-up of
-- a range is a function of the rows of deal_events there: it may be dropped, and made again by anyone at any time. A
-- roll-up is one insert and so one block: all of it is there or nothing. Each has a random number in all of its rows;
-- the row of kind 'range' tells that the roll-up is there, and a report sums rows of the numbers that it chose only, so a
-- second roll-up of the same range counts for nothing until a merge puts it into the place of the first. One of changed
-- rows has a higher version. The order makes the ranges of one year of one association one short read.
CREATE TABLE IF NOT EXISTS rollups
(
    association_id UUID, -- zero for all associations together, and for kind 'range'
    kind           Enum8('range' = 0, 'association' = 1, 'chapter' = 2, 'pair' = 3),
    year           Int32,
    size           UInt64, -- how many sequences the range has
    first          UInt64, -- the first of them; 0 in the first range, though no event has that sequence
    month          Date32 CODEC(ZSTD(1)), -- of kind 'association' only, else 1970-01-01
    a              UUID CODEC(ZSTD(1)),
    b              UUID CODEC(ZSTD(1)),
    currency       LowCardinality(String),
    version        UInt64 CODEC(ZSTD(1)), -- the sum of the versions of the rows
    roll           UInt64 CODEC(ZSTD(1)), -- the number of the roll-up
    amount         Int128 CODEC(ZSTD(1)),
    attested_by_parties Int128 CODEC(ZSTD(1)),
    deals          Int64 CODEC(ZSTD(1)),
    unconverted    Int64 CODEC(ZSTD(1)),
    sequences      UInt64 CODEC(ZSTD(1)), -- this and the following of kind 'range' only: how many events were added up
    quarantined    UInt64 CODEC(ZSTD(1)), -- how many of them could not be read
    at             DateTime64(3, 'UTC') CODEC(ZSTD(1)) -- when the last of them happened
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (association_id, kind, year, size, first, month, a, b, currency)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 0;
