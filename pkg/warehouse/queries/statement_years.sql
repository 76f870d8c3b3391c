-- The years of associations in which any deal ever counted that ever counted in this year of this association.
SELECT DISTINCT
    e.association_id AS association,
    e.year AS year
FROM deal_events FINAL
ARRAY JOIN entry AS e
WHERE seq <= {up_to:UInt64}
  AND notEmpty(entry.kind)
  AND e.kind = 'association'
  AND e.association_id != toUUID('00000000-0000-0000-0000-000000000000') -- that of all together
  AND deal_id IN (
      SELECT deal_id
      FROM deal_events
      WHERE seq <= {up_to:UInt64}
        AND arrayExists((a, y) -> a = {association:UUID} AND y = {year:Int32}, entry.association_id, entry.year))
ORDER BY association, year
