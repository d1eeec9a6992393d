-- 视频补盲建议：先修后补；候选点位按新增可见警情逐个选出，禁设区内的列明原因，视域重叠而警情少的单元列出可撤。
-- What to do about camera gaps: repair first, then add where most unseen calls would come into view, one site after the other; what lies
-- in a zone where no camera may look is named with its reason, and cells that many cameras watch for few calls are listed for removal.
-- @grain kind, place
-- @column kind zh "建议" repair, add, excluded or over_covered
-- @column place zh "对象" camera of a repair, else the cell of the site
-- @column rank zh "次序" within its kind
-- @column calls zh "警情数" calls of 28 days: seen again by a repair, newly in view of a site, lost in a zone, or all those of a cell
-- @column share zh "占比" of the calls that no camera saw; of an over-covered cell none
-- @column cameras zh "摄像机数" cameras that watch the middle of an over-covered cell
-- @check unique(kind, place)
-- @check accepted(kind, 'repair', 'add', 'excluded', 'over_covered')
WITH span AS (
  SELECT max(biz_date) AS last_day FROM core.video_index
),
call AS (
  SELECT a.alarm_id, a.cell, h3_cell(a.lon, a.lat, 11) AS spot, v.is_seen
  FROM mart.citizen_alarm AS a
  CROSS JOIN span AS s
  LEFT JOIN (SELECT alarm_id, bool_or(is_seen) AS is_seen FROM mart.camera_view GROUP BY alarm_id) AS v ON v.alarm_id = a.alarm_id
  WHERE a.cell IS NOT NULL AND a.biz_date <= s.last_day AND a.biz_date > s.last_day - INTERVAL '28 days'
),
unseen AS (
  SELECT count(*) FILTER (WHERE NOT coalesce(is_seen, false)) AS n FROM call
),
repair AS (
  SELECT v.camera_id, count(*) AS calls
  FROM mart.camera_view AS v
  JOIN call AS c ON c.alarm_id = v.alarm_id
  WHERE NOT c.is_seen
  GROUP BY v.camera_id
),
blind AS (
  -- calls that no camera has in its sector, by spots of some 50 metres
  SELECT spot, min(cell) AS cell, count(*) AS calls FROM call WHERE is_seen IS NULL GROUP BY spot
),
site AS (
  SELECT spot, cell, calls, h3_centre(spot)['lon'] AS lon, h3_centre(spot)['lat'] AS lat FROM blind WHERE calls >= $least
),
zoned AS (
  SELECT s.spot, min(z.reason) AS reason
  FROM site AS s
  CROSS JOIN ref.exclusion_zone AS z
  WHERE in_area(s.lon, s.lat, z.boundary)
  GROUP BY s.spot
),
pair AS (
  SELECT b.spot, b.calls, n.spot AS site, n.metres
  FROM blind AS b
  LEFT JOIN (
    SELECT spot, near, distance_metres(lon, lat, h3_centre(near)['lon'], h3_centre(near)['lat']) AS metres
    FROM (SELECT spot, lon, lat, unnest(h3_ring(spot, 4)) AS near FROM site WHERE spot NOT IN (SELECT spot FROM zoned))
  ) AS n ON n.near = b.spot AND n.metres <= $reach
),
chosen AS (
  SELECT unnest(mclp(spot, calls, site, metres, {'p': $sites, 'within': $reach})) AS c FROM pair
),
watched AS (
  SELECT p.cell, count(DISTINCT k.camera_id) AS cameras
  FROM (
    SELECT camera_id, lon, lat, bearing, fov, range_metres, unnest(h3_ring(cell, greatest(1, CAST(ceil(range_metres / 170.0) AS BIGINT)))) AS near
    FROM core.camera
  ) AS k
  JOIN mart.cell_place AS p ON p.cell = k.near
  WHERE in_view(k.lon, k.lat, k.bearing, k.fov, k.range_metres, p.lon, p.lat)
  GROUP BY p.cell
),
proposal AS (
  SELECT 'repair' AS kind, r.camera_id AS place, k.cell, r.calls, CAST(NULL AS VARCHAR) AS reason, CAST(NULL AS BIGINT) AS cameras
  FROM repair AS r
  JOIN core.camera AS k ON k.camera_id = r.camera_id
  UNION ALL
  SELECT 'add', h3_text(c['site']), h3_parent(c['site'], 9), CAST(c['gain'] AS BIGINT), NULL, NULL FROM chosen WHERE c['gain'] > 0
  UNION ALL
  SELECT 'excluded', h3_text(s.spot), s.cell, s.calls, z.reason, NULL FROM site AS s JOIN zoned AS z ON z.spot = s.spot
  UNION ALL
  SELECT 'over_covered', h3_text(w.cell), w.cell, coalesce(d.calls, 0), NULL, w.cameras
  FROM watched AS w
  LEFT JOIN (SELECT cell, count(*) AS calls FROM call GROUP BY cell) AS d ON d.cell = w.cell
  WHERE w.cameras > $views AND coalesce(d.calls, 0) <= $few
)
SELECT
  row_number() OVER (PARTITION BY q.kind ORDER BY CASE q.kind WHEN 'over_covered' THEN -q.cameras ELSE -q.calls END, q.place) AS rank,
  q.kind,
  q.place,
  p.county,
  p.area,
  p.label_zh,
  p.label_en,
  q.calls,
  CASE WHEN q.kind <> 'over_covered' THEN round(CAST(q.calls AS DOUBLE) / nullif(u.n, 0), 4) END AS share,
  q.cameras,
  q.reason
FROM proposal AS q
CROSS JOIN unseen AS u
LEFT JOIN mart.cell_place AS p ON p.cell = q.cell
