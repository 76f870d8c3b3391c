INSERT INTO webhook_attempts (endpoint_id, at, event_id, attempt, event_type, source, sequence, took_us, outcome, verdict, words, status, excerpt)
