-- +goose Up
-- Attempts to deliver webhooks, thirty days of them. Unlike the other tables this one is no projection of the log: it is a
-- record of what was done, and nothing rests on it but what people look up. The same attempt may be inserted again.
CREATE TABLE IF NOT EXISTS webhook_attempts (
    endpoint_id UUID,
    at DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    event_id String CODEC(ZSTD(1)),
    attempt UInt16, -- of this event to this endpoint, from 1
    event_type LowCardinality(String),
    source LowCardinality(String), -- the stream of the event, and its place there; empty for a test
    sequence UInt64 CODEC(T64, ZSTD(1)),
    took_us UInt64 CODEC(T64, ZSTD(1)),
    outcome LowCardinality(String),
    verdict LowCardinality(String), -- delivered, retrying or failed
    words String CODEC(ZSTD(1)),
    status UInt16, -- of the answer; 0 for none
    excerpt String CODEC(ZSTD(3)) -- how the answer began
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(at)
ORDER BY (endpoint_id, at, event_id, attempt)
TTL toDateTime(at) + INTERVAL 30 DAY DELETE
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 0;
