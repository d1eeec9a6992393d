-- 视域内警情：最近 28 天，每条群众警情与每台看得到该处的摄像机一行，及当时是否在线且有录像。
-- Calls within view of a camera, a row for each pair of the newest 28 days of clips, and whether it worked then: online, with a clip
-- within ten minutes. A view is a sector of bearing, angle and range; walls and trees are not known.
-- @grain alarm_id, camera_id
-- @column is_seen zh "有录像" the camera was online, with a clip within ±10 minutes
-- @check unique(alarm_id, camera_id)
WITH span AS (
  SELECT max(biz_date) AS last_day FROM core.video_index
),
ring AS (
  SELECT camera_id, lon, lat, bearing, fov, range_metres, -- a cell of this size is at least 170 metres from its centre to the next one's edge
    unnest(h3_ring(cell, greatest(1, CAST(ceil(range_metres / 170.0) AS BIGINT)))) AS ring_cell
  FROM core.camera
),
view AS (
  SELECT a.alarm_id, a.cell, a.lon, a.lat, a.hour_local, a.biz_date, arrow_cast(a.reported_at, 'Int64') AS at_micros, r.camera_id, s.last_day
  FROM mart.citizen_alarm AS a
  CROSS JOIN span AS s
  JOIN ring AS r ON r.ring_cell = a.cell
  WHERE a.biz_date <= s.last_day AND a.biz_date > s.last_day - INTERVAL '28 days'
    AND in_view(r.lon, r.lat, r.bearing, r.fov, r.range_metres, a.lon, a.lat)
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
  SELECT DISTINCT v.alarm_id, v.camera_id
  FROM view AS v
  JOIN clip AS c ON c.camera_id = v.camera_id
  WHERE v.at_micros >= c.from_micros AND v.at_micros <= c.to_micros
)
SELECT v.alarm_id, v.camera_id, v.cell, v.hour_local, v.biz_date, v.last_day, s.alarm_id IS NOT NULL AND k.alarm_id IS NULL AS is_seen
FROM view AS v
LEFT JOIN seen AS s ON s.alarm_id = v.alarm_id AND s.camera_id = v.camera_id
LEFT JOIN dark AS k ON k.alarm_id = v.alarm_id AND k.camera_id = v.camera_id
