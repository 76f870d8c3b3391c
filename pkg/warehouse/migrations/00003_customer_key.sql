-- +goose Up
-- What names of one customer have in common, so that deals for the same customer are found. It is coarser than the rule
-- of package deal, never finer: it forgets the marks on letters too, because some names get them from their lower case.
ALTER TABLE deal_events ADD COLUMN IF NOT EXISTS customer_key String
    MATERIALIZED replaceAll(replaceAll(replaceRegexpAll(lowerUTF8(customer), '[\\pP\\pZ\\pC\\pM]+', ''), 'ß', 'ss'), 'ς', 'σ') CODEC(ZSTD(1));
ALTER TABLE deal_events ADD INDEX IF NOT EXISTS customer_key customer_key TYPE bloom_filter(0.01) GRANULARITY 1;
ALTER TABLE deal_events ADD INDEX IF NOT EXISTS customer_domain customer_domain TYPE bloom_filter(0.01) GRANULARITY 1;
