-- Events that could not be read and have not been repaired since: a repaired row has a higher version.
SELECT seq, version, at, poison, payload
FROM deal_events FINAL
WHERE poison != ''
  AND seq > {after:UInt64}
ORDER BY seq
LIMIT {limit:UInt32}
