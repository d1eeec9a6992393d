-- 派警：每条处警单一行。 One row per dispatch.
-- @grain dispatch_id
-- @incremental biz_date
-- @check not_null(dispatch_id, alarm_id, dispatched_at)
-- @check unique(dispatch_id)
SELECT
  d.dispatch_id,
  d.alarm_id,
  d.unit_kind,
  d.station,
  d.dispatched_at,
  d.acknowledged_at,
  d.enroute_at,
  d.arrived_at,
  d.known_at,
  d.biz_date,
  d.source_batch,
  d.source_line
FROM source.dispatch AS d
