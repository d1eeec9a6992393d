-- 视频指标：每区县每月在线率一行，列同 indicator.alarm；计划检修不计，无状态的摄像机不计。
-- Online rate of each county's cameras by month (I-V1): seconds online of those expected, planned maintenance left out.
-- A camera is expected from its first event on, up to the newest event of any. One that only claims to be online counts as online:
-- warning.camera_leak finds those. Months are cut at midnight UTC: hours more or less on either side do not matter to a rate.
-- @grain county, indicator, part, period
-- @column indicator zh "指标" sign of the indicator
-- @column part zh "分项" empty
-- @column period zh "月份" first day of the month
-- @column days zh "有数据天数" days of the month between the first and the newest event
-- @column cameras zh "摄像机数" cameras with a status in the month
-- @column value zh "数值" share of the expected seconds
-- @column numerator zh "分子" seconds online
-- @column denominator zh "分母" seconds expected
-- @column lower zh "下限" lower 95 % limit, by how much cameras differ
-- @column upper zh "上限" upper 95 % limit
-- @column target zh "目标" target
-- @column n_excluded zh "剔除数" cameras of the inventory without any expected second
-- @column rankable zh "可排名" whether it may be used in a league table
-- @check unique(county, indicator, part, period)
-- @check in_range(value, 0, 1)
WITH span AS (
  SELECT camera_id, event, reason, arrow_cast(since_at, 'Int64') / 1000000 AS since, arrow_cast(until_at, 'Int64') / 1000000 AS until,
    max(arrow_cast(since_at, 'Int64') / 1000000) OVER () AS newest
  FROM core.camera_status
),
extent AS (
  SELECT min(since) AS first, max(newest) AS last FROM span
),
month AS (
  SELECT
    CAST(m AS DATE) AS period,
    greatest(arrow_cast(CAST(m AS DATE), 'Int32') * 86400, first) AS first,
    least(arrow_cast(CAST(m + INTERVAL '1 month' AS DATE), 'Int32') * 86400, last) AS last
  FROM (
    SELECT first, last, unnest(generate_series(
      date_trunc('month', to_timestamp_seconds(first)), date_trunc('month', to_timestamp_seconds(last - 1)), INTERVAL '1 month')) AS m
    FROM extent
  )
),
seconds AS (
  SELECT
    s.camera_id, m.period, m.first, m.last,
    CAST(sum(CASE WHEN s.event = 'online' THEN least(coalesce(s.until, s.newest), m.last) - greatest(s.since, m.first) END) AS BIGINT) AS online,
    CAST(sum(least(coalesce(s.until, s.newest), m.last) - greatest(s.since, m.first)) AS BIGINT) AS expected
  FROM span AS s
  JOIN month AS m ON s.since < m.last AND coalesce(s.until, s.newest) > m.first
  WHERE s.event = 'online' OR coalesce(s.reason, '') <> 'maintenance'
  GROUP BY s.camera_id, m.period, m.first, m.last
),
frame AS (
  SELECT c.camera_id, c.county, m.period, m.first, m.last FROM core.camera AS c CROSS JOIN month AS m
),
county AS (
  -- per mille of each camera, in whole numbers: how far cameras differ says how sure the rate is
  SELECT
    f.county, f.period, max(f.last - f.first) AS length, count(s.camera_id) AS cameras, count(*) - count(s.camera_id) AS n_excluded,
    sum(s.online) AS online, sum(s.expected) AS expected,
    CAST(sum(s.mille) AS DOUBLE) AS mille, CAST(sum(s.mille * s.mille) AS DOUBLE) AS squares
  FROM frame AS f
  LEFT JOIN (
    SELECT camera_id, period, coalesce(online, 0) AS online, expected, CAST(round(1000.0 * coalesce(online, 0) / expected) AS BIGINT) AS mille
    FROM seconds WHERE expected > 0
  ) AS s ON s.camera_id = f.camera_id AND s.period = f.period
  GROUP BY f.county, f.period
),
rate AS (
  SELECT *, CAST(online AS DOUBLE) / expected AS value,
    CASE WHEN cameras > 1 THEN 1.96 * sqrt(greatest(squares - mille * mille / cameras, 0) / (cameras - 1) / cameras) / 1000 END AS half
  FROM county
)
SELECT
  r.county, coalesce(a.name_zh, r.county) AS county_zh, coalesce(a.name_en, r.county) AS county_en,
  'I-V1' AS indicator, '' AS part, '在线率' AS name_zh, 'online rate of cameras' AS name_en, 'share' AS unit,
  r.period, CAST(ceil(r.length / 86400.0) AS BIGINT) AS days, r.cameras,
  r.value, CAST(r.online AS BIGINT) AS numerator, CAST(r.expected AS BIGINT) AS denominator,
  CASE WHEN r.value < r.half THEN 0 ELSE r.value - r.half END AS lower, CASE WHEN r.value + r.half > 1 THEN 1 ELSE r.value + r.half END AS upper,
  0.95 AS target, r.n_excluded, true AS rankable
FROM rate AS r
LEFT JOIN ref.area AS a ON a.code = r.county
