-- 处警时长：每条已派警情一行，取首个到场单位；无效时长说明原因。
-- Stage times of each dispatched call, first unit on scene; an interval that cannot be measured says why.
-- @grain alarm_id
-- @incremental biz_date
-- @follows core.dispatch on alarm_id
-- @check unique(alarm_id)
-- @check accepted(reason, 'valid', 'missing', 'negative', 'zero', 'over_24h')
WITH first_unit AS (
  SELECT
    alarm_id,
    min(dispatched_at) AS dispatched_at,
    min(acknowledged_at) AS acknowledged_at,
    min(enroute_at) AS enroute_at,
    min(arrived_at) AS arrived_at
  FROM core.dispatch
  -- of the calls at hand: one day of calls does not gather every dispatch there is
  WHERE alarm_id IN (SELECT alarm_id FROM core.alarm)
  GROUP BY alarm_id
),
seconds AS (
  SELECT
    a.alarm_id,
    a.county,
    a.area,
    a.biz_date,
    a.category_group,
    a.priority,
    arrow_cast(d.arrived_at, 'Int64') % 60000000 = 0 AS arrived_on_minute,
    (arrow_cast(d.dispatched_at, 'Int64') - arrow_cast(a.reported_at, 'Int64')) / 1000000 AS process_seconds,
    (arrow_cast(d.arrived_at, 'Int64') - arrow_cast(d.dispatched_at, 'Int64')) / 1000000 AS dispatch_arrive_seconds,
    (arrow_cast(d.arrived_at, 'Int64') - arrow_cast(a.reported_at, 'Int64')) / 1000000 AS response_seconds
  FROM core.alarm AS a
  JOIN first_unit AS d ON d.alarm_id = a.alarm_id
)
SELECT
  alarm_id,
  county,
  area,
  biz_date,
  category_group,
  priority,
  process_seconds,
  dispatch_arrive_seconds,
  response_seconds,
  arrived_on_minute,
  CASE
    WHEN response_seconds IS NULL THEN 'missing'
    WHEN response_seconds < 0 OR dispatch_arrive_seconds < 0 THEN 'negative'
    WHEN response_seconds = 0 THEN 'zero'
    WHEN response_seconds > 86400 THEN 'over_24h'
    ELSE 'valid'
  END AS reason
FROM seconds
