-- +goose Up
-- The currency of the deal's value, by which the deals are found that a rate concerns. Rows of before have none: they
-- count as concerned.
ALTER TABLE deal_events ADD COLUMN IF NOT EXISTS value_currency LowCardinality(String) DEFAULT '' AFTER won_on;
