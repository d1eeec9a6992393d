-- 处警时长：每条已派警情一行，取首个到场单位；无效时长说明原因。
-- Stage times of each dispatched call, first unit on scene; an interval that cannot be measured says why.
-- @grain alarm_id
-- @incremental biz_date
-- @follows core.dispatch on alarm_id
-- @column acknowledge_seconds zh "签收时长" dispatched → acknowledged
-- @column turnout_seconds zh "出警时长" acknowledged → en route
-- @column travel_seconds zh "路途时长" en route → arrived
-- @column arrived_before_enroute zh "到场早于出发" arrived before it left; empty where either is missing
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
    (arrow_cast(d.arrived_at, 'Int64') - arrow_cast(a.reported_at, 'Int64')) / 1000000 AS response_seconds,
    (arrow_cast(d.acknowledged_at, 'Int64') - arrow_cast(d.dispatched_at, 'Int64')) / 1000000 AS acknowledge_seconds,
    (arrow_cast(d.enroute_at, 'Int64') - arrow_cast(d.acknowledged_at, 'Int64')) / 1000000 AS turnout_seconds,
    (arrow_cast(d.arrived_at, 'Int64') - arrow_cast(d.enroute_at, 'Int64')) / 1000000 AS travel_seconds
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
  -- a stage without an end, or that ends before it begins, was not measured
  CASE WHEN acknowledge_seconds >= 0 THEN acknowledge_seconds END AS acknowledge_seconds,
  CASE WHEN turnout_seconds >= 0 THEN turnout_seconds END AS turnout_seconds,
  CASE WHEN travel_seconds >= 0 THEN travel_seconds END AS travel_seconds,
  travel_seconds < 0 AS arrived_before_enroute,
  arrived_on_minute,
  CASE
    WHEN response_seconds IS NULL THEN 'missing'
    WHEN response_seconds < 0 OR dispatch_arrive_seconds < 0 THEN 'negative'
    WHEN response_seconds = 0 THEN 'zero'
    WHEN response_seconds > 86400 THEN 'over_24h'
    ELSE 'valid'
  END AS reason
FROM seconds
