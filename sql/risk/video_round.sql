-- 视频巡查轮巡单：次日各班次应轮巡哪些可用摄像机；只看地方，不做识别；留出一成以上对照，隔两日歇一日。
-- Which working cameras to step through on the next day, by county and shift: those that had most calls of that shift in view in 28 days.
-- An eighth of the cameras is held out, another every month, and each camera rests every third day: without places that are not watched
-- nobody could tell whether watching helps. Those that would have been chosen are listed all the same, with the reason.
-- @grain shift, camera_id
-- @column shift zh "班次" night 0-8, day 8-16, evening 16-24
-- @column state zh "状态" step, hold_out or rest
-- @column place_no zh "次序" order of stepping; none of a camera that is not stepped
-- @column calls zh "警情数" calls of the shift in view
-- @check unique(shift, camera_id)
-- @check accepted(state, 'step', 'hold_out', 'rest')
WITH span AS (
  SELECT max(last_day) AS last_day FROM mart.camera_view
),
busy AS (
  SELECT camera_id, CASE WHEN hour_local < 8 THEN 'night' WHEN hour_local < 16 THEN 'day' ELSE 'evening' END AS shift, count(*) AS calls
  FROM mart.camera_view
  GROUP BY 1, 2
),
working AS (
  SELECT k.camera_id, k.county, k.cell, k.name
  FROM core.camera AS k
  CROSS JOIN span AS s
  JOIN (SELECT camera_id, max(biz_date) AS newest FROM core.camera_day WHERE clips > 0 GROUP BY camera_id) AS d ON d.camera_id = k.camera_id
  LEFT ANTI JOIN (SELECT camera_id FROM core.camera_status WHERE event = 'offline' AND until_at IS NULL) AS o ON o.camera_id = k.camera_id
  WHERE d.newest > s.last_day - INTERVAL '3 days'
    -- nobody is asked to look where no camera may
    AND k.camera_id NOT IN (
      SELECT c.camera_id FROM core.camera AS c CROSS JOIN ref.exclusion_zone AS z WHERE in_area(c.lon, c.lat, z.boundary)
    )
),
ranked AS (
  SELECT
    b.shift, w.camera_id, w.county, w.cell, w.name, b.calls, CAST(s.last_day + INTERVAL '1 day' AS DATE) AS round_day,
    row_number() OVER (PARTITION BY w.county, b.shift ORDER BY b.calls DESC, w.camera_id) AS by_calls,
    -- the first digits of a hash are chance enough, and the same for everybody who looks
    ascii(substr(md5(w.camera_id || '/' || CAST(date_trunc('month', s.last_day + INTERVAL '1 day') AS VARCHAR)), 1, 1)) AS month_digit,
    (ascii(substr(md5(w.camera_id), 1, 1)) + arrow_cast(s.last_day, 'Int32') + 1) % 3 AS turn
  FROM busy AS b
  JOIN working AS w ON w.camera_id = b.camera_id
  CROSS JOIN span AS s
  WHERE b.calls >= $least
),
stated AS (
  SELECT *, CASE WHEN month_digit < ascii('2') THEN 'hold_out' WHEN turn = 0 THEN 'rest' ELSE 'step' END AS state
  FROM ranked
  WHERE by_calls <= $listed
),
placed AS (
  SELECT *, row_number() OVER (PARTITION BY county, shift, state ORDER BY by_calls) AS place_no FROM stated
)
SELECT
  r.round_day,
  r.county,
  r.shift,
  CASE WHEN r.state = 'step' THEN r.place_no END AS place_no,
  r.state,
  r.camera_id,
  r.name,
  p.label_zh,
  p.label_en,
  r.calls,
  '本班次 28 天内视域内警情 ' || CAST(r.calls AS VARCHAR) || ' 起' AS reason_zh,
  CAST(r.calls AS VARCHAR) || ' calls of this shift in view in 28 days' AS reason_en
FROM placed AS r
LEFT JOIN mart.cell_place AS p ON p.cell = r.cell
WHERE r.state <> 'step' OR r.place_no <= $cap
