-- 区县人口：每区县一行，含流动人口总数。 One row per county; floating population appears only here, as a county total.
-- @grain county
-- @column cells zh "有人单元数" cells in which somebody lives
-- @check unique(county)
SELECT
  county,
  sum(residents) FILTER (WHERE cell IS NOT NULL) AS residents,
  sum(households) FILTER (WHERE cell IS NOT NULL) AS households,
  sum(residents) FILTER (WHERE cell IS NULL) AS county_only,
  count(DISTINCT cell) AS cells
FROM (
  SELECT county, cell, residents, households
  FROM source.population
  QUALIFY ingested_at = max(ingested_at) OVER (PARTITION BY county)
) AS newest
GROUP BY county
