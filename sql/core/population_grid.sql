-- 人口网格：每单元每月一行；不足 10 人不显示，四舍五入到 5。 One row per cell and month; below 10 unknown, rounded to 5.
-- @grain cell, ref_month
-- @check not_null(cell, ref_month)
-- @check unique(cell, ref_month)
WITH newest AS (
  SELECT county, cell, ref_month, residents, households, age_0_14, age_15_59, age_60_up
  FROM source.population
  QUALIFY ingested_at = max(ingested_at) OVER (PARTITION BY county)
),
counted AS (
  SELECT
    cell,
    max(ref_month) AS ref_month,
    sum(residents) AS residents,
    sum(households) AS households,
    sum(age_0_14) AS age_0_14,
    sum(age_15_59) AS age_15_59,
    sum(age_60_up) AS age_60_up
  FROM newest
  WHERE cell IS NOT NULL
  GROUP BY cell
)
SELECT
  cell,
  ref_month,
  CASE WHEN residents >= 10 THEN CAST(round(residents / 5.0) * 5 AS BIGINT) END AS residents,
  CASE WHEN households >= 10 THEN CAST(round(households / 5.0) * 5 AS BIGINT) END AS households,
  CASE WHEN age_0_14 >= 10 THEN CAST(round(age_0_14 / 5.0) * 5 AS BIGINT) END AS age_0_14,
  CASE WHEN age_15_59 >= 10 THEN CAST(round(age_15_59 / 5.0) * 5 AS BIGINT) END AS age_15_59,
  CASE WHEN age_60_up >= 10 THEN CAST(round(age_60_up / 5.0) * 5 AS BIGINT) END AS age_60_up
FROM counted
