-- 单元地名：每单元一行，用街道与最近地名说明在哪里。 Words for a cell: its street and the nearest road or landmark.
-- @grain cell
-- @check unique(cell)
WITH cell AS (
  SELECT cell, min(county) AS county, min(area) AS area, h3_centre(cell)['lon'] AS lon, h3_centre(cell)['lat'] AS lat
  FROM mart.alarm_cell_day
  GROUP BY cell
),
near AS (
  SELECT
    c.cell,
    p.name_zh,
    p.name_en,
    p.lon,
    p.lat,
    distance_metres(p.lon, p.lat, c.lon, c.lat) AS metres
  FROM cell AS c
  JOIN ref.place_name AS p ON p.county = c.county
  QUALIFY row_number() OVER (PARTITION BY c.cell ORDER BY distance_metres(p.lon, p.lat, c.lon, c.lat), p.place_no) = 1
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
