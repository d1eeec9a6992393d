-- 摄像机状态：每次上下线一行，含持续到何时。 One row per camera event, with the time until which it holds.
-- @grain camera_id, since_at
-- @check not_null(camera_id, event, since_at)
SELECT
  camera_id,
  event,
  reason,
  biz_date,
  event_at AS since_at,
  lead(event_at) OVER (PARTITION BY camera_id ORDER BY event_at, event) AS until_at
FROM source.camera_status
