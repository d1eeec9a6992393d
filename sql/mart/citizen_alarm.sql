-- 群众报警（空间产品的唯一入口）：一事一行，可上图，非裁量类。
-- Incidents reported by citizens, sensors or other agencies that may be mapped: the only way into spatial products.
-- @grain alarm_id
-- @incremental biz_date
-- @check not_null(alarm_id, biz_date, county)
-- @check unique(alarm_id)
-- @check accepted(origin, 'citizen', 'sensor', 'other_agency')
SELECT
  alarm_id,
  reported_at,
  known_at,
  biz_date,
  hour_local,
  origin,
  category,
  category_group,
  priority,
  county,
  area,
  lon,
  lat,
  cell,
  source_batch,
  source_line
FROM core.alarm
WHERE origin IN ('citizen', 'sensor', 'other_agency')
  AND is_effective
  AND is_mappable
  AND NOT is_discretionary
  AND main_alarm_id IS NULL
