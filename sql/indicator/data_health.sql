-- 数据健康：每区县警情数据的时效、数量、类别构成、位置与时间质量；缺数是缺数，不是零。
-- Health of each county's calls: how far behind, how many against the same weekday of eight weeks, drift of the class mix, positions, times.
-- Missing rows are missing, never zero. Drift is half the sum of the differences between the shares of the last 7 days and of the 28 before.
-- @grain county
-- @column days_behind zh "落后天数" days behind the newest day of any county
-- @column state zh "时效" fresh, late (1-2 days behind), stale (3-6), silent (7 and more)
-- @column observed zh "最后一日行数" rows of its last day
-- @column expected zh "同星期日均值" mean of the same weekday in the 8 weeks before
-- @column volume zh "数量" low, usual, high, unknown (fewer than 4 such weekdays)
-- @column mix_drift zh "类别漂移" total variation distance of the class mix
-- @column without_position_share zh "缺位置比例" of the mappable rows of the last 7 days
-- @column without_position_before zh "此前缺位置比例" of the mappable rows of the 28 days before
-- @column on_minute_share zh "整分比例" rows of the last 7 days reported at second 0
-- @check unique(county)
-- @check accepted(state, 'fresh', 'late', 'stale', 'silent')
-- @check accepted(volume, 'low', 'usual', 'high', 'unknown')
-- @check in_range(mix_drift, 0, 1)
WITH day AS (
  SELECT county, arrow_cast(biz_date, 'Int32') AS day_no, sum(n) AS n
  FROM mart.alarm_quality_day
  GROUP BY county, biz_date
),
newest AS (
  SELECT max(day_no) AS day_no FROM day
),
last AS (
  SELECT county, max(day_no) AS day_no FROM day GROUP BY county
),
usual AS (
  SELECT l.county, count(*) AS weeks, sum(d.n) AS n
  FROM last AS l
  JOIN day AS d ON d.county = l.county AND d.day_no BETWEEN l.day_no - 56 AND l.day_no - 7 AND (l.day_no - d.day_no) % 7 = 0
  GROUP BY l.county
),
recent AS (
  SELECT
    q.county,
    q.category_group,
    arrow_cast(q.biz_date, 'Int32') > l.day_no - 7 AS is_recent,
    sum(q.n) AS n,
    sum(q.mappable) AS mappable,
    sum(q.without_position) AS without_position,
    sum(q.on_minute) AS on_minute
  FROM mart.alarm_quality_day AS q
  JOIN last AS l ON l.county = q.county AND arrow_cast(q.biz_date, 'Int32') > l.day_no - 35
  GROUP BY q.county, q.category_group, arrow_cast(q.biz_date, 'Int32') > l.day_no - 7
),
whole AS (
  SELECT
    county,
    coalesce(sum(n) FILTER (WHERE is_recent), 0) AS n_recent,
    coalesce(sum(n) FILTER (WHERE NOT is_recent), 0) AS n_before,
    coalesce(sum(mappable) FILTER (WHERE is_recent), 0) AS mappable_recent,
    coalesce(sum(mappable) FILTER (WHERE NOT is_recent), 0) AS mappable_before,
    coalesce(sum(without_position) FILTER (WHERE is_recent), 0) AS without_recent,
    coalesce(sum(without_position) FILTER (WHERE NOT is_recent), 0) AS without_before,
    coalesce(sum(on_minute) FILTER (WHERE is_recent), 0) AS on_minute_recent
  FROM recent
  GROUP BY county
),
share AS (
  SELECT
    r.county,
    r.category_group,
    CAST(coalesce(sum(r.n) FILTER (WHERE r.is_recent), 0) AS DOUBLE) / nullif(max(w.n_recent), 0) AS recent,
    CAST(coalesce(sum(r.n) FILTER (WHERE NOT r.is_recent), 0) AS DOUBLE) / nullif(max(w.n_before), 0) AS before
  FROM recent AS r
  JOIN whole AS w ON w.county = r.county
  GROUP BY r.county, r.category_group
),
drift AS (
  -- sums of integers in fixed point are the same in every order
  SELECT county, sum(CAST(round(abs(recent - before) * 1000000) AS BIGINT)) AS millionths
  FROM share
  GROUP BY county
)
SELECT
  l.county,
  arrow_cast(arrow_cast(l.day_no, 'Int32'), 'Date32') AS last_day,
  CAST(m.day_no - l.day_no AS BIGINT) AS days_behind,
  CASE WHEN m.day_no - l.day_no >= 7 THEN 'silent' WHEN m.day_no - l.day_no >= 3 THEN 'stale'
       WHEN m.day_no - l.day_no >= 1 THEN 'late' ELSE 'fresh' END AS state,
  d.n AS observed,
  round(CAST(u.n AS DOUBLE) / u.weeks, 2) AS expected,
  -- the day against eight weeks of its weekday, both as Poisson counts, told apart at 99.98 %
  CASE WHEN coalesce(u.weeks, 0) < 4 THEN 'unknown'
       WHEN poisson_interval(d.n, 0.9998)['upper'] < poisson_interval(u.n, 0.9998)['lower'] / u.weeks THEN 'low'
       WHEN poisson_interval(d.n, 0.9998)['lower'] > poisson_interval(u.n, 0.9998)['upper'] / u.weeks THEN 'high'
       ELSE 'usual' END AS volume,
  least(CAST(f.millionths AS DOUBLE) / 2000000, 1) AS mix_drift,
  CAST(w.without_recent AS DOUBLE) / nullif(w.mappable_recent, 0) AS without_position_share,
  CAST(w.without_before AS DOUBLE) / nullif(w.mappable_before, 0) AS without_position_before,
  CAST(w.on_minute_recent AS DOUBLE) / nullif(w.n_recent, 0) AS on_minute_share
FROM last AS l
CROSS JOIN newest AS m
JOIN day AS d ON d.county = l.county AND d.day_no = l.day_no
JOIN whole AS w ON w.county = l.county
LEFT JOIN drift AS f ON f.county = l.county
LEFT JOIN usual AS u ON u.county = l.county
