-- 单元地名：每单元一行，用街道与最近地名说明在哪里。 Words for a cell: its street and the nearest road or landmark.
-- @grain cell
-- @check unique(cell)
WITH cell AS (
  SELECT cell, min(county) AS county, min(area) AS area, h3_centre(cell)['lon'] AS lon, h3_centre(cell)['lat'] AS lat
  FROM mart.alarm_cell_day
  GROUP BY cell
),
place AS (
  SELECT county, name_zh, name_en, lon, lat, row_number() OVER (ORDER BY place_no) AS number FROM ref.place_name
),
nearest AS (
  -- distance in millimetres and the place in one number: its minimum needs no sorting; 2^20 places are more than a city names
  SELECT c.cell, min(CAST(round(distance_metres(p.lon, p.lat, c.lon, c.lat) * 1000) AS BIGINT) * 1048576 + p.number) AS best
  FROM cell AS c
  JOIN place AS p ON p.county = c.county
  GROUP BY c.cell
),
near AS (
  SELECT n.cell, p.name_zh, p.name_en, p.lon, p.lat, CAST(n.best / 1048576 AS DOUBLE) / 1000 AS metres
  FROM nearest AS n
  JOIN place AS p ON p.number = n.best % 1048576
)
SELECT
  c.cell,
  c.county,
  c.area,
  c.lon,
  c.lat,
  coalesce(a.name_zh || ' · ', '') || CASE
    WHEN n.metres IS NULL THEN '单元 ' || h3_text(c.cell)
    WHEN n.metres < 50 THEN n.name_zh
    ELSE n.name_zh || compass(n.lon, n.lat, c.lon, c.lat, 'zh') || ' 约' || CAST(CAST(round(n.metres / 50) * 50 AS BIGINT) AS VARCHAR) || '米'
  END AS label_zh,
  coalesce(a.name_en || ' · ', '') || CASE
    WHEN n.metres IS NULL THEN 'cell ' || h3_text(c.cell)
    WHEN n.metres < 50 THEN n.name_en
    ELSE 'about ' || CAST(CAST(round(n.metres / 50) * 50 AS BIGINT) AS VARCHAR) || ' m ' || compass(n.lon, n.lat, c.lon, c.lat, 'en') || ' of ' || n.name_en
  END AS label_en
FROM cell AS c
LEFT JOIN near AS n ON n.cell = c.cell
LEFT JOIN ref.area AS a ON a.code = c.area
