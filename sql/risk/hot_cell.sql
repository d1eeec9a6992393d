-- 警情热点单元：最近 28 天群众报警最多的单元，附每万常住人口比率与区间。
-- Cells with most citizen-reported incidents of the last 28 days, with rate per resident and exact interval.
-- @grain cell
-- @column alarms zh "警情数" incidents in 28 days
-- @column rate_per_10000 zh "万人警情数" incidents per 10,000 residents of the cell; unknown below 100 residents
-- @check unique(cell)
-- @check rows(0, 200)
WITH span AS (
  SELECT max(biz_date) AS last_day FROM mart.alarm_cell_day
),
recent AS (
  SELECT d.cell, sum(d.alarms) AS alarms, min(s.last_day) AS last_day
  FROM mart.alarm_cell_day AS d
  CROSS JOIN span AS s
  WHERE d.biz_date > s.last_day - INTERVAL '28 days'
  GROUP BY d.cell
),
ranked AS (
  SELECT *, row_number() OVER (ORDER BY alarms DESC, cell) AS rank
  FROM recent
  WHERE alarms >= 5
)
SELECT
  r.rank,
  r.cell,
  h3_text(r.cell) AS cell_text,
  p.county,
  p.area,
  p.label_zh,
  p.label_en,
  p.lon,
  p.lat,
  r.alarms,
  g.residents,
  CASE WHEN g.residents >= 100 THEN round(10000.0 * r.alarms / g.residents, 1) END AS rate_per_10000,
  CASE WHEN g.residents >= 100 THEN round(10000.0 * poisson_interval(r.alarms, 0.95)['lower'] / g.residents, 1) END AS rate_lower,
  CASE WHEN g.residents >= 100 THEN round(10000.0 * poisson_interval(r.alarms, 0.95)['upper'] / g.residents, 1) END AS rate_upper,
  CAST(r.last_day - INTERVAL '27 days' AS DATE) AS first_day,
  r.last_day
FROM ranked AS r
JOIN mart.cell_place AS p ON p.cell = r.cell
LEFT JOIN core.population_grid AS g ON g.cell = r.cell
WHERE r.rank <= 200
