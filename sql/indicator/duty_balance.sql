-- 需求与勤务：每所每班次，过去八周处警工作量、下周预测区间、在岗单位时与二者占比之差。
-- Workload and units on duty by station and shift: minutes from dispatch to feedback of the newest eight whole weeks, the forecast of a
-- week with its interval, unit hours of the same weeks, and the share of demand less the share of duty.
-- Stations with fewer than ten officers are counted together for their county and never alone; the row is about a unit.
-- @grain org, shift
-- @column weekly_minutes zh "周均工作量" minutes of work a week
-- @column lower zh "下限" lower 95 % limit of the next week: of the spread of eight weeks, Student's t
-- @column upper zh "上限" upper 95 % limit
-- @column unit_hours zh "周均单位时" unit hours on duty a week
-- @column demand_share zh "需求占比" of the unit's work
-- @column duty_share zh "勤务占比" of the unit's hours
-- @column mismatch zh "错配" share of demand less share of duty
-- @column is_short zh "勤务偏少" its share of work, and of calls beyond chance, is clearly above that of hours
-- @column n zh "处警数" dispatches with a measured time
-- @column n_excluded zh "剔除数" dispatches without one
-- @check unique(org, shift)
-- @check in_range(demand_share, 0, 1)
WITH span AS (
  SELECT max(biz_date) AS last_day FROM core.dispatch
),
small AS (
  -- the newest count of each station
  SELECT org FROM core.staffing WHERE level = 'station' AND officers < $officers QUALIFY counted_at = max(counted_at) OVER (PARTITION BY org)
),
duty AS (
  SELECT
    CASE WHEN m.org IS NULL THEN s.org ELSE s.county END AS org, s.org AS station, s.county, s.shift, s.hours, s.units,
    CAST(floor((arrow_cast(p.last_day, 'Int32') - arrow_cast(s.biz_date, 'Int32')) / 7) AS BIGINT) AS week,
    arrow_cast(s.starts_at, 'Int64') AS from_micros,
    arrow_cast(s.starts_at, 'Int64') + CAST(s.hours AS BIGINT) * 3600000000 AS to_micros
  FROM core.shift AS s
  CROSS JOIN span AS p
  LEFT JOIN small AS m ON m.org = s.org
  WHERE s.biz_date <= p.last_day AND arrow_cast(s.biz_date, 'Int32') > arrow_cast(p.last_day, 'Int32') - 56
),
fed_back AS (
  SELECT alarm_id, min(arrow_cast(fed_back_at, 'Int64')) AS at FROM core.feedback WHERE is_final GROUP BY alarm_id
),
work AS (
  SELECT d.station, arrow_cast(d.dispatched_at, 'Int64') AS at_micros,
    -- what took no time or more than four hours was not measured
    CASE WHEN f.at > arrow_cast(d.dispatched_at, 'Int64') AND f.at <= arrow_cast(d.dispatched_at, 'Int64') + 14400000000
      THEN CAST(round((f.at - arrow_cast(d.dispatched_at, 'Int64')) / 60000000.0) AS BIGINT) END AS minutes
  FROM core.dispatch AS d
  CROSS JOIN span AS p
  LEFT JOIN fed_back AS f ON f.alarm_id = d.alarm_id
  WHERE arrow_cast(d.biz_date, 'Int32') > arrow_cast(p.last_day, 'Int32') - 57
),
busy AS (
  SELECT d.org, d.county, d.shift, d.week, count(w.minutes) AS n, count(*) - count(w.minutes) AS n_excluded, coalesce(sum(w.minutes), 0) AS minutes
  FROM duty AS d
  JOIN work AS w ON w.station = d.station AND w.at_micros >= d.from_micros AND w.at_micros < d.to_micros
  GROUP BY d.org, d.county, d.shift, d.week
),
rostered AS (
  SELECT org, min(county) AS county, shift, sum(units * hours) / 8.0 AS unit_hours FROM duty GROUP BY org, shift
),
weekly AS (
  -- a week without a call is one of no work; sums of integers are the same in any order
  SELECT
    r.org, r.county, r.shift, r.unit_hours, coalesce(sum(b.n), 0) AS n, coalesce(sum(b.n_excluded), 0) AS n_excluded,
    coalesce(sum(b.minutes), 0) AS total, coalesce(sum(b.minutes * b.minutes), 0) AS squares
  FROM rostered AS r
  LEFT JOIN busy AS b ON b.org = r.org AND b.shift = r.shift
  GROUP BY r.org, r.county, r.shift, r.unit_hours
),
spread AS (
  SELECT *, total / 8.0 AS weekly_minutes,
    -- 2.365 is the quantile of t with seven degrees of freedom, for one week more
    2.365 * sqrt(greatest(squares - CAST(total AS DOUBLE) * total / 8.0, 0) / 7.0 * (1 + 1 / 8.0)) AS half,
    sum(total) OVER (PARTITION BY org) AS all_total, sum(n) OVER (PARTITION BY org) AS all_n, sum(unit_hours) OVER (PARTITION BY org) AS all_hours
  FROM weekly
)
SELECT
  s.org,
  s.county,
  s.shift,
  coalesce(t.name_zh, a.name_zh, s.org) AS org_zh,
  coalesce(t.name_en, a.name_en, s.org) AS org_en,
  s.n,
  s.n_excluded,
  round(s.weekly_minutes) AS weekly_minutes,
  round(greatest(s.weekly_minutes - s.half, 0)) AS lower,
  round(s.weekly_minutes + s.half) AS upper,
  s.unit_hours,
  round(CAST(s.total AS DOUBLE) / nullif(s.all_total, 0), 4) AS demand_share,
  round(s.unit_hours / nullif(s.all_hours, 0), 4) AS duty_share,
  round(CAST(s.total AS DOUBLE) / nullif(s.all_total, 0) - s.unit_hours / nullif(s.all_hours, 0), 4) AS mismatch,
  -- too few on duty where the share of work is above that of hours, and that of calls beyond chance
  coalesce(CAST(s.total AS DOUBLE) / nullif(s.all_total, 0) > s.unit_hours / nullif(s.all_hours, 0) + $margin
    AND wilson_interval(s.n, s.all_n, 0.95)['lower'] > s.unit_hours / nullif(s.all_hours, 0) + $margin, false) AS is_short,
  CAST(p.last_day - INTERVAL '55 days' AS DATE) AS first_day,
  p.last_day
FROM spread AS s
CROSS JOIN span AS p
LEFT JOIN (SELECT org, min(name_zh) AS name_zh, min(name_en) AS name_en FROM ref.site WHERE kind = 'station' GROUP BY org) AS t ON t.org = s.org
LEFT JOIN ref.area AS a ON a.code = s.org
