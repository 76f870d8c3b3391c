-- +goose Up
-- What each party is and whose word a deal waits for, so that a company finds what it has to do. Rows of before know
-- neither (told is false): they are found in any case where they could be meant, and the log decides.
ALTER TABLE deal_events ADD COLUMN IF NOT EXISTS roles Array(LowCardinality(String)) CODEC(ZSTD(1)); -- of the companies, in their order
ALTER TABLE deal_events ADD COLUMN IF NOT EXISTS joining Array(UUID) CODEC(ZSTD(1)); -- companies that an open correction would take in
ALTER TABLE deal_events ADD COLUMN IF NOT EXISTS waits_for Array(UUID) CODEC(ZSTD(1));
ALTER TABLE deal_events ADD COLUMN IF NOT EXISTS told Bool DEFAULT false CODEC(ZSTD(1));
