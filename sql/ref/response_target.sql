-- 快反目标：三种读法，每级一行；各地按实际改写本文件。 Response targets in the three readings; a site shadows this file.
-- @grain reading, tier
-- @check in_range(target_seconds, 1, 3600)
SELECT * FROM (VALUES
  ('urgency', '1', 1, 60, 'reported', 'arrived'),
  ('urgency', '2', 2, 180, 'reported', 'arrived'),
  ('urgency', '3', 3, 300, 'reported', 'arrived'),
  ('place_circle', 'T1', 1, 60, 'dispatched', 'arrived'),
  ('place_circle', 'T3', 2, 180, 'dispatched', 'arrived'),
  ('place_circle', 'T5', 3, 300, 'dispatched', 'arrived'),
  ('force_tier', 'station', 1, 60, 'dispatched', 'arrived'),
  ('force_tier', 'branch', 2, 180, 'dispatched', 'arrived'),
  ('force_tier', 'city', 3, 300, 'dispatched', 'arrived')
) AS target (reading, tier, priority, target_seconds, clock_start, clock_end)
