-- 出警提示：每单元的几条场所事实（危险源、警情记录、可用摄像机、医院），随警单给出；只说地方，不说住户。
-- Facts about a place that a crew is told with its order. A cell speaks of itself only where enough households share it; else of its
-- rings up to the second, else of no calls at all.
-- @grain cell, kind, subject
-- @column kind zh "种类" hazard, history, camera or hospital
-- @column subject zh "对象" number of the hazard, camera or site; category of the calls
-- @column text_zh zh "提示" what is said, in Chinese
-- @column text_en zh "提示（英文）" what is said, in English
-- @column fact_on zh "事实日期" day of the newest call, of the record, or of the newest clip; none where nobody dates it
-- @column weight zh "权重" calls with a half-life, thousandths; of anything else its nearness
-- @column households zh "基数" households that the calls are spread over
-- @check unique(cell, kind, subject)
-- @check accepted(kind, 'hazard', 'history', 'camera', 'hospital')
WITH span AS (
  SELECT max(biz_date) AS last_day FROM mart.citizen_alarm
),
middle AS (
  SELECT cell, county, area, lon, lat, label_zh, label_en FROM mart.cell_place
),
ring AS (
  SELECT cell, k, unnest(h3_ring(cell, k)) AS near_cell FROM (SELECT cell, unnest(make_array(0, 1, 2)) AS k FROM middle)
),
basis AS (
  SELECT r.cell, r.k, sum(g.households) AS households
  FROM ring AS r
  JOIN core.population_grid AS g ON g.cell = r.near_cell
  GROUP BY r.cell, r.k
  HAVING sum(g.households) >= $households
),
chosen AS (
  SELECT cell, min(k) AS k, min(households) AS households FROM basis GROUP BY cell
),
called AS (
  SELECT
    a.cell,
    a.category,
    count(*) AS n,
    max(a.biz_date) AS newest,
    sum(CAST(round(1000 * power(0.5, (arrow_cast(s.last_day, 'Int32') - arrow_cast(a.biz_date, 'Int32')) / $half_life)) AS BIGINT)) AS weight
  FROM mart.citizen_alarm AS a
  CROSS JOIN span AS s
  WHERE a.cell IS NOT NULL AND a.biz_date > s.last_day - INTERVAL '365 days'
  GROUP BY a.cell, a.category
),
history AS (
  SELECT c.cell, c.k, c.households, a.category, sum(a.n) AS n, max(a.newest) AS newest, sum(a.weight) AS weight
  FROM chosen AS c
  JOIN ring AS r ON r.cell = c.cell AND r.k = c.k
  JOIN called AS a ON a.cell = r.near_cell
  GROUP BY c.cell, c.k, c.households, a.category
  HAVING sum(a.n) >= $least
),
thing AS (
  SELECT 'hazard' AS kind, h.hazard_no AS subject, h.name_zh, h.name_en, h.lon, h.lat, h.recorded_on AS fact_on
  FROM ref.hazard AS h
  CROSS JOIN span AS s
  WHERE h.holds_until IS NULL OR h.holds_until >= s.last_day
  UNION ALL
  SELECT 'camera', c.camera_id, c.name AS name_zh, c.name AS name_en, c.lon, c.lat, d.newest
  FROM core.camera AS c
  CROSS JOIN span AS s
  -- a camera works that had clips in the last days and is not down
  JOIN (SELECT camera_id, max(biz_date) AS newest FROM core.camera_day WHERE clips > 0 GROUP BY camera_id) AS d ON d.camera_id = c.camera_id
  LEFT ANTI JOIN (SELECT camera_id FROM core.camera_status WHERE event = 'offline' AND until_at IS NULL) AS o ON o.camera_id = c.camera_id
  WHERE d.newest > s.last_day - INTERVAL '3 days'
),
seen AS (
  -- neighbours two rings away lie within some 900 metres
  SELECT t.kind, t.subject, t.name_zh, t.name_en, t.fact_on, m.cell, distance_metres(t.lon, t.lat, m.lon, m.lat) AS metres
  FROM (SELECT *, unnest(h3_ring(h3_cell(lon, lat, 9), 2)) AS near_cell FROM thing) AS t
  JOIN middle AS m ON m.cell = t.near_cell
  UNION ALL
  SELECT 'hospital', w.site_no, w.name_zh, w.name_en, CAST(NULL AS DATE), m.cell, distance_metres(w.lon, w.lat, m.lon, m.lat)
  FROM ref.site AS w
  CROSS JOIN middle AS m
  WHERE w.kind = 'hospital'
),
nearest AS (
  SELECT *, row_number() OVER (PARTITION BY cell, kind ORDER BY metres, subject) AS place
  FROM seen
  WHERE kind = 'hospital' OR metres <= CASE kind WHEN 'hazard' THEN $hazard_metres ELSE $camera_metres END
),
fact AS (
  SELECT
    h.cell, 'history' AS kind, h.category AS subject, h.newest AS fact_on, h.weight, h.households,
    '此处一带（约 ' || CAST(200 + 325 * h.k AS VARCHAR) || ' 米内）近一年 ' || coalesce(c.name_zh, h.category) || ' ' || CAST(h.n AS VARCHAR) || ' 起' AS text_zh,
    'place history (within some ' || CAST(200 + 325 * h.k AS VARCHAR) || ' m), last year: ' || CAST(h.n AS VARCHAR) || ' × ' || coalesce(c.name_en, h.category) AS text_en
  FROM history AS h
  LEFT JOIN ref.category AS c ON c.code = h.category
  UNION ALL
  SELECT
    n.cell, n.kind, n.subject, n.fact_on, CAST(1000000 - n.metres AS BIGINT), CAST(NULL AS BIGINT),
    CASE n.kind WHEN 'hazard' THEN '危险源：' WHEN 'camera' THEN '可用摄像机：' ELSE '最近医院：' END || n.name_zh
      || '，距单元中心约 ' || CAST(CAST(round(n.metres / 50) * 50 AS BIGINT) AS VARCHAR) || ' 米',
    CASE n.kind WHEN 'hazard' THEN 'hazard: ' WHEN 'camera' THEN 'working camera: ' ELSE 'nearest hospital: ' END || n.name_en
      || ', about ' || CAST(CAST(round(n.metres / 50) * 50 AS BIGINT) AS VARCHAR) || ' m from the middle of the cell'
  FROM nearest AS n
  WHERE n.place <= CASE n.kind WHEN 'hazard' THEN 2 ELSE 1 END
)
SELECT f.cell, h3_text(f.cell) AS cell_text, m.county, m.area, m.label_zh, m.label_en, f.kind, f.subject, f.text_zh, f.text_en, f.fact_on, f.weight, f.households, s.last_day
FROM fact AS f
JOIN middle AS m ON m.cell = f.cell
CROSS JOIN span AS s
