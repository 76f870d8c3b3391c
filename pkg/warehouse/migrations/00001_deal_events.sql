-- +goose Up
-- One row for every sequence of the stream. The ledger entries of an event lie in its row as parallel arrays, so that
-- one insert is one block in one partition: it is there or it is not. A row that was written twice, or again with a
-- higher version, counts once: read with FINAL.
CREATE TABLE IF NOT EXISTS deal_events
(
    seq           UInt64 CODEC(Delta, ZSTD(1)),
    version       UInt32 DEFAULT 0 CODEC(ZSTD(1)),
    at            DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    payload_hash  FixedString(32) CODEC(NONE),
    poison        String CODEC(ZSTD(1)), -- why the event could not be read; empty when it is sound
    payload       String CODEC(ZSTD(1)), -- the raw bytes of a poison event; empty when it is sound

    deal_id       UUID,
    revision      UInt64 CODEC(ZSTD(1)),
    type          LowCardinality(String),
    status        LowCardinality(String),
    registered_by UUID CODEC(ZSTD(1)),
    companies     Array(UUID) CODEC(ZSTD(1)), -- the parties of the deal after the event
    associations  Array(UUID) CODEC(ZSTD(1)), -- the associations in the audience of the event
    won_on        Nullable(Date32) CODEC(ZSTD(1)),
    title         String CODEC(ZSTD(1)),
    customer      String CODEC(ZSTD(1)),
    customer_domain String CODEC(ZSTD(1)),
    external_ref  String CODEC(ZSTD(1)),

    entry Nested
    (
        kind           Enum8('association' = 1, 'chapter' = 2, 'pair' = 3),
        association_id UUID,
        year           Int32,
        month          Date32,
        a              UUID,
        b              UUID,
        currency       LowCardinality(String),
        amount         Int64,
        deals          Int8,
        by_parties     UInt8,
        unconverted    Int8
    ),

    INDEX deal deal_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX company companies TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY intDiv(seq, 1000000)
ORDER BY seq
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 0;
