-- +goose Up
-- The corporate group of each of the companies, in their order: companies of one group count as one contributor. A company
-- without a group is its own. Rows of before have none until they are replayed.
ALTER TABLE deal_events ADD COLUMN IF NOT EXISTS groups Array(UUID) CODEC(ZSTD(1)) AFTER companies;
