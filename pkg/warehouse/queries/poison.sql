-- Events that could not be read and have not been repaired since: a repaired row has a higher version. As many as fit into
-- the bytes and the first in any case: an event may be as large as a message. Only lengths are held to find out which.
SELECT seq, version, at, poison, payload
FROM deal_events FINAL
WHERE poison != ''
  AND seq IN
  (
      SELECT seq
      FROM
      (
          SELECT seq, sum(size) OVER (ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) - size AS before
          FROM
          (
              SELECT seq, length(payload) AS size
              FROM deal_events FINAL
              WHERE poison != ''
                AND seq > {after:UInt64}
              ORDER BY seq
              LIMIT {limit:UInt32}
          )
      )
      WHERE before < {bytes:UInt64}
  )
ORDER BY seq
