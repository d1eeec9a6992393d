-- 派警：由宽表得到，每次呼叫至多一行。 From the wide file: at most one row per call.
-- @grain dispatch_id
-- @check unique(dispatch_id)
-- @check not_null(dispatch_id, alarm_id, dispatched_at)
SELECT alarm_id AS dispatch_id, alarm_id, CAST(NULL AS VARCHAR) AS unit_kind, area AS station, dispatched_at,
  CAST(NULL AS TIMESTAMP) AS acknowledged_at, CAST(NULL AS TIMESTAMP) AS enroute_at, arrived_at, known_at, biz_date,
  source_batch, source_line
FROM source.alarm
WHERE dispatched_at IS NOT NULL
