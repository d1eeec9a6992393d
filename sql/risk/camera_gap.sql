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
viewed AS (
  SELECT alarm_id, bool_or(is_seen) AS is_seen FROM mart.camera_view GROUP BY alarm_id
),
cell AS (
  SELECT
    a.cell,
    count(*) AS alarms,
    count(v.alarm_id) AS alarms_in_view,
    count(*) FILTER (WHERE v.is_seen) AS alarms_seen,
    min(s.last_day) AS last_day
  FROM mart.citizen_alarm AS a
  CROSS JOIN span AS s
  LEFT JOIN viewed AS v ON v.alarm_id = a.alarm_id
  WHERE a.cell IS NOT NULL AND a.biz_date <= s.last_day AND a.biz_date > s.last_day - INTERVAL '28 days'
  GROUP BY a.cell
),
around AS (
  SELECT ring_cell, count(DISTINCT camera_id) AS cameras
  FROM (SELECT camera_id, unnest(h3_ring(cell, greatest(1, CAST(ceil(range_metres / 170.0) AS BIGINT)))) AS ring_cell FROM core.camera)
  GROUP BY ring_cell
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
