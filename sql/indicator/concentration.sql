-- 热点集中度：每区县一行，近一年警情最多的 5 % 单元占多少，基尼系数多少。
-- How concentrated calls are: the share of a year's calls in the fullest twentieth of a county's cells with a call, and the Gini
-- coefficient over them. Few calls on many cells look concentrated by chance alone: the share that chance gives is beside it.
-- @grain county
-- @column cells zh "单元数" cells with a call in the year
-- @column top_share zh "前5%占比" share of the calls in the fullest 5 % of them
-- @column even_share zh "均匀时占比" what the same cells would hold if every cell had as many calls
-- @column gini zh "基尼系数" 0 where all cells are alike, 1 where one has all
-- @column n zh "警情数" calls with a cell
-- @column n_excluded zh "剔除数" calls without one
-- @column rankable zh "可排名" never: it tells where to look, not who works well
-- @check unique(county)
-- @check in_range(top_share, 0, 1)
-- @check in_range(gini, 0, 1)
WITH span AS (
  SELECT max(biz_date) AS last_day FROM mart.citizen_alarm
),
cell AS (
  SELECT a.county, a.cell, count(*) AS calls
  FROM mart.citizen_alarm AS a
  CROSS JOIN span AS s
  WHERE a.biz_date > s.last_day - INTERVAL '365 days'
  GROUP BY a.county, a.cell
),
ranked AS (
  SELECT county, calls,
    row_number() OVER (PARTITION BY county ORDER BY calls DESC, cell) AS place,
    row_number() OVER (PARTITION BY county ORDER BY calls, cell) AS rising,
    count(*) OVER (PARTITION BY county) AS cells
  FROM cell
  WHERE cell IS NOT NULL
),
county AS (
  SELECT
    county,
    max(cells) AS cells,
    sum(calls) AS n,
    sum(calls) FILTER (WHERE place <= ceil(0.05 * cells)) AS top,
    CAST(max(ceil(0.05 * cells)) AS BIGINT) AS top_cells,
    sum(rising * calls) AS weighted
  FROM ranked
  GROUP BY county
),
lost AS (
  SELECT county, sum(calls) AS n FROM cell WHERE cell IS NULL GROUP BY county
)
SELECT
  c.county,
  coalesce(a.name_zh, c.county) AS county_zh,
  coalesce(a.name_en, c.county) AS county_en,
  c.cells,
  CAST(c.top AS DOUBLE) / c.n AS top_share,
  CAST(c.top_cells AS DOUBLE) / c.cells AS even_share,
  2.0 * c.weighted / (CAST(c.cells AS DOUBLE) * c.n) - (c.cells + 1.0) / c.cells AS gini,
  c.n,
  coalesce(l.n, 0) AS n_excluded,
  false AS rankable
FROM county AS c
LEFT JOIN lost AS l ON l.county = c.county
LEFT JOIN ref.area AS a ON a.code = c.county
WHERE c.n >= 30
