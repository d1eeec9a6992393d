-- 视频盲区：最近 28 天警情中，事发时有在线且前后 10 分钟有录像的摄像机可见的占比。
-- Demand by cell and the share of it within view of a camera that worked and has a clip within ten minutes.
-- First cut: a view is a sector of bearing, angle and range; walls and trees are not known.
-- @grain cell
-- @column alarms zh "警情数" incidents with a position
-- @column alarms_in_view zh "视域内" incidents within the sector of at least one camera
-- @column alarms_seen zh "有录像" in view of a camera that was online, with a clip within ±10 minutes
-- @check unique(cell)
-- @check in_range(seen_share, 0, 1)
WITH span AS (
  SELECT max(biz_date) AS last_day FROM core.video_index
),
demand AS (
  SELECT
    a.alarm_id,
    a.cell,
    a.lon,
    a.lat,
    arrow_cast(a.reported_at, 'Int64') AS at_micros,
    s.last_day
  FROM mart.citizen_alarm AS a
  CROSS JOIN span AS s
  WHERE a.cell IS NOT NULL AND a.biz_date <= s.last_day AND a.biz_date > s.last_day - INTERVAL '28 days'
),
ring AS (
  SELECT camera_id, lon, lat, bearing, fov, range_metres, -- a cell of this size is at least 170 metres from its centre to the next one's edge
    unnest(h3_ring(cell, greatest(1, CAST(ceil(range_metres / 170.0) AS BIGINT)))) AS ring_cell
  FROM core.camera
),
view AS (
  SELECT d.alarm_id, d.at_micros, r.camera_id
  FROM demand AS d
  JOIN ring AS r ON r.ring_cell = d.cell
  WHERE in_view(r.lon, r.lat, r.bearing, r.fov, r.range_metres, d.lon, d.lat)
),
clip AS (
  SELECT
    camera_id,
    arrow_cast(begin_at, 'Int64') - 600000000 AS from_micros,
    arrow_cast(end_at, 'Int64') + 600000000 AS to_micros
  FROM core.video_index AS v
  CROSS JOIN span AS s
  -- a clip lasts a day at most
  WHERE v.biz_date > s.last_day - INTERVAL '30 days'
),
outage AS (
  SELECT camera_id, arrow_cast(since_at, 'Int64') AS from_micros, coalesce(arrow_cast(until_at, 'Int64'), 9223372036854775807) AS to_micros
  FROM core.camera_status
  WHERE event = 'offline'
),
dark AS (
  SELECT DISTINCT v.alarm_id, v.camera_id
  FROM view AS v
  JOIN outage AS o ON o.camera_id = v.camera_id
  WHERE v.at_micros >= o.from_micros AND v.at_micros < o.to_micros
),
seen AS (
  SELECT DISTINCT v.alarm_id
  FROM view AS v
  JOIN clip AS c ON c.camera_id = v.camera_id
  LEFT ANTI JOIN dark AS k ON k.alarm_id = v.alarm_id AND k.camera_id = v.camera_id
  WHERE v.at_micros >= c.from_micros AND v.at_micros <= c.to_micros
),
viewed AS (
  SELECT DISTINCT alarm_id FROM view
),
cell AS (
  SELECT
    d.cell,
    count(*) AS alarms,
    count(w.alarm_id) AS alarms_in_view,
    count(s.alarm_id) AS alarms_seen,
    min(d.last_day) AS last_day
  FROM demand AS d
  LEFT JOIN viewed AS w ON w.alarm_id = d.alarm_id
  LEFT JOIN seen AS s ON s.alarm_id = d.alarm_id
  GROUP BY d.cell
),
around AS (
  SELECT ring_cell, count(DISTINCT camera_id) AS cameras FROM ring GROUP BY ring_cell
),
resident AS (
  SELECT n.cell, sum(g.residents) AS residents
  FROM (SELECT cell, unnest(h3_ring(cell, 1)) AS near FROM mart.cell_place) AS n
  JOIN core.population_grid AS g ON g.cell = n.near
  GROUP BY n.cell
)
SELECT
  row_number() OVER (ORDER BY c.alarms - c.alarms_seen DESC, c.cell) AS rank,
  c.cell,
  h3_text(c.cell) AS cell_text,
  p.county,
  p.area,
  p.label_zh,
  p.label_en,
  p.lon,
  p.lat,
  c.alarms,
  c.alarms_in_view,
  c.alarms_seen,
  c.alarms - c.alarms_seen AS unseen,
  CAST(c.alarms_seen AS DOUBLE) / c.alarms AS seen_share,
  wilson_interval(c.alarms_seen, c.alarms, 0.95)['lower'] AS seen_lower,
  wilson_interval(c.alarms_seen, c.alarms, 0.95)['upper'] AS seen_upper,
  coalesce(a.cameras, 0) AS cameras,
  r.residents,
  CAST(c.last_day - INTERVAL '27 days' AS DATE) AS first_day,
  c.last_day
FROM cell AS c
JOIN mart.cell_place AS p ON p.cell = c.cell
LEFT JOIN around AS a ON a.ring_cell = c.cell
LEFT JOIN resident AS r ON r.cell = c.cell
