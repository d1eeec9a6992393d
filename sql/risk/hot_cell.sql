-- 警情热点单元：群众报警明显多于全市的单元及其邻域，附持续性与收缩后的万人率。
-- Cells that stand with their neighbours clearly above the city in citizen-reported incidents, with how lasting that is
-- and a shrunk rate per resident. Gi* of each of twelve periods of four weeks, over all cells that had a call in them.
-- @grain cell
-- @column alarms zh "警情数" incidents in 28 days
-- @column z zh "热点强度 z" Gi* of the newest period, in standard deviations
-- @column q zh "误报率 q" false discovery rate among all cells of the period
-- @column periods_hot zh "十二期中" of the twelve periods, those in which the cell was hot
-- @column class zh "类型" new, persistent (hot in six of twelve or more), fading (persistent, and not hot any more)
-- @column rate_per_10000 zh "万人警情数" incidents per 10,000 residents of the cell; unknown below 100 residents
-- @column rate_eb zh "收缩万人率" the same, drawn to the city's where residents are few
-- @check unique(cell)
-- @check rows(0, 200)
-- @check accepted(class, 'new', 'persistent', 'fading')
WITH span AS (
  SELECT max(biz_date) AS last_day FROM mart.alarm_cell_day
),
counted AS (
  SELECT d.cell, CAST((s.last_day - d.biz_date) / 28 AS BIGINT) AS period, sum(d.alarms) AS alarms
  FROM mart.alarm_cell_day AS d
  CROSS JOIN span AS s
  WHERE d.biz_date > s.last_day - INTERVAL '336 days'
  GROUP BY d.cell, CAST((s.last_day - d.biz_date) / 28 AS BIGINT)
),
frame AS (
  -- a cell without a call in a period counts as 0 in it; period 0 is the newest
  SELECT c.cell, p.period, coalesce(n.alarms, 0) AS alarms
  FROM (SELECT DISTINCT cell FROM counted) AS c
  CROSS JOIN (SELECT DISTINCT period FROM counted) AS p
  LEFT JOIN counted AS n ON n.cell = c.cell AND n.period = p.period
),
scored AS (
  SELECT period, g['id'] AS cell, g['value'] AS alarms, g['z'] AS z, g['q'] AS q, coalesce(g['z'] > 0 AND g['q'] <= $q, false) AS is_hot
  FROM (SELECT period, unnest(gi_star(cell, alarms)) AS g FROM frame GROUP BY period)
),
history AS (
  SELECT
    cell,
    CAST(max(alarms) FILTER (WHERE period = 0) AS BIGINT) AS alarms,
    max(z) FILTER (WHERE period = 0) AS z,
    max(q) FILTER (WHERE period = 0) AS q,
    coalesce(bool_or(is_hot) FILTER (WHERE period = 0), false) AS is_hot,
    count(*) FILTER (WHERE is_hot) AS periods_hot
  FROM scored
  GROUP BY cell
),
rated AS (
  SELECT h.*, g.residents, eb_rate(h.alarms, g.residents) OVER () AS eb
  FROM history AS h
  LEFT JOIN core.population_grid AS g ON g.cell = h.cell
),
ranked AS (
  SELECT *, row_number() OVER (ORDER BY is_hot DESC, z DESC, cell) AS rank
  FROM rated
  WHERE is_hot OR periods_hot >= 6
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
  round(r.z, 2) AS z,
  r.q,
  r.periods_hot,
  CASE WHEN NOT r.is_hot THEN 'fading' WHEN r.periods_hot >= 6 THEN 'persistent' ELSE 'new' END AS class,
  r.residents,
  CASE WHEN r.residents >= 100 THEN round(10000.0 * r.alarms / r.residents, 1) END AS rate_per_10000,
  CASE WHEN r.residents >= 100 THEN round(10000.0 * poisson_interval(r.alarms, 0.95)['lower'] / r.residents, 1) END AS rate_lower,
  CASE WHEN r.residents >= 100 THEN round(10000.0 * poisson_interval(r.alarms, 0.95)['upper'] / r.residents, 1) END AS rate_upper,
  round(10000.0 * r.eb['rate'], 1) AS rate_eb,
  CAST(s.last_day - INTERVAL '27 days' AS DATE) AS first_day,
  s.last_day
FROM ranked AS r
CROSS JOIN span AS s
JOIN mart.cell_place AS p ON p.cell = r.cell
WHERE r.rank <= 200
