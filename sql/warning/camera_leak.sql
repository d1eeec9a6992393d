-- 视频掉线与假在线：一台摄像机当日长时间掉线，或自称在线而几乎没有录像。
-- Cameras that were offline for long on a day, or claimed to be online and yielded next to nothing.
-- A camera is held against its own two weeks before. A fault is told on the day after, when its day is complete and an
-- outage is known to have lasted; those where more people call weigh more.
-- @grain camera_id, biz_date
-- @incremental biz_date
-- @lookback 28 days
-- @column fault zh "故障" offline, or silent: online and without clips
-- @column fault_day zh "故障日" the day of the fault, the one before
-- @column observed zh "当日片段" clips of that day
-- @column expected zh "平时片段" mean of the 14 days before
-- @column demand zh "周边警情" calls in its cell and those around, 28 days
-- @column neighbours zh "同时掉线" other cameras within 500 metres that went down within half an hour
-- @check unique(camera_id, biz_date)
-- @check accepted(fault, 'offline', 'silent')
WITH day AS (
  -- a county that delivered nothing on a day has no such day
  SELECT DISTINCT c.county, d.biz_date, arrow_cast(d.biz_date, 'Int32') AS day_no
  FROM core.camera_day AS d
  JOIN core.camera AS c ON c.camera_id = d.camera_id
  WHERE d.clips > 0
),
frame AS (
  SELECT c.camera_id, c.county, d.biz_date AS fault_day, d.day_no, coalesce(n.clips, 0) AS clips
  FROM core.camera AS c
  JOIN day AS d ON d.county = c.county
  LEFT JOIN core.camera_day AS n ON n.camera_id = c.camera_id AND n.biz_date = d.biz_date
),
usual AS (
  SELECT *, sum(clips) OVER before AS clips_before, count(*) OVER before AS days_before
  FROM frame
  WINDOW before AS (PARTITION BY camera_id ORDER BY day_no ROWS BETWEEN 14 PRECEDING AND 1 PRECEDING)
),
outage AS (
  SELECT s.camera_id, c.lon, c.lat, s.biz_date AS fault_day, arrow_cast(s.since_at, 'Int64') AS since_at,
    arrow_cast(s.until_at, 'Int64') - arrow_cast(s.since_at, 'Int64') AS micros, arrow_cast(s.biz_date, 'Int32') AS first_no
  FROM core.camera_status AS s
  JOIN core.camera AS c ON c.camera_id = s.camera_id
  WHERE s.event = 'offline'
),
reach AS (
  SELECT o.*, coalesce(o.first_no + CAST(o.micros / 86400000000 AS BIGINT) + 1, greatest(n.last_no, o.first_no)) AS last_no
  FROM outage AS o
  CROSS JOIN (SELECT max(day_no) AS last_no FROM day) AS n
),
down AS (
  -- every day that an outage reaches into; of one that is not over, its first day counts where it began well before night
  SELECT camera_id, day_no, bool_or(CASE
    WHEN micros IS NOT NULL THEN micros >= $hours * 3600000000 AND day_no < last_no
    ELSE day_no > first_no OR since_at <= (first_no * 86400 + 43200) * 1000000 END) AS is_offline
  FROM (SELECT camera_id, micros, since_at, first_no, last_no, unnest(range(first_no, last_no + 1)) AS day_no FROM reach)
  GROUP BY camera_id, day_no
),
together AS (
  SELECT a.camera_id, a.fault_day, count(DISTINCT b.camera_id) AS neighbours
  FROM outage AS a
  JOIN outage AS b
    ON b.fault_day = a.fault_day AND b.camera_id <> a.camera_id AND abs(b.since_at - a.since_at) <= 1800000000
  WHERE distance_metres(a.lon, a.lat, b.lon, b.lat) <= 500
  GROUP BY a.camera_id, a.fault_day
),
faulty AS (
  SELECT u.camera_id, u.fault_day, n.biz_date, u.clips,
    CAST(u.clips_before AS DOUBLE) / u.days_before AS expected, CASE WHEN d.is_offline THEN 'offline' ELSE 'silent' END AS fault
  FROM usual AS u
  -- a day is complete when the next has begun
  JOIN day AS n ON n.county = u.county AND n.day_no = u.day_no + 1
  LEFT JOIN down AS d ON d.camera_id = u.camera_id AND d.day_no = u.day_no
  WHERE d.is_offline
    OR (d.camera_id IS NULL AND u.days_before >= 7
      AND u.clips_before >= $least * u.days_before AND u.clips <= $share * u.clips_before / u.days_before)
),
around AS (
  SELECT c.camera_id, f.biz_date, sum(a.alarms) AS demand
  FROM (SELECT DISTINCT camera_id, biz_date FROM faulty) AS f
  JOIN (SELECT camera_id, unnest(h3_ring(cell, 1)) AS near FROM core.camera) AS c ON c.camera_id = f.camera_id
  JOIN mart.alarm_cell_day AS a ON a.cell = c.near AND a.biz_date <= f.biz_date AND a.biz_date > f.biz_date - INTERVAL '28 days'
  GROUP BY c.camera_id, f.biz_date
),
ranked AS (
  SELECT f.*, coalesce(a.demand, 0) AS demand, coalesce(t.neighbours, 0) AS neighbours
  FROM faulty AS f
  LEFT JOIN around AS a ON a.camera_id = f.camera_id AND a.biz_date = f.biz_date
  LEFT JOIN together AS t ON t.camera_id = f.camera_id AND t.fault_day = f.fault_day
)
SELECT
  r.camera_id, c.county, c.area, r.biz_date, r.fault, r.fault_day, r.clips AS observed, round(r.expected, 1) AS expected, r.demand, r.neighbours,
  CASE WHEN r.neighbours >= 2 THEN 'orange' WHEN r.demand >= $busy THEN 'yellow' ELSE 'blue' END AS grade,
  c.name AS place_zh,
  c.name AS place_en,
  CASE r.fault WHEN 'offline' THEN '掉线 ' || CAST($hours AS VARCHAR) || ' 小时以上'
    ELSE '在线而一日仅 ' || CAST(r.clips AS VARCHAR) || ' 段，平时 ' || CAST(round(r.expected, 1) AS VARCHAR) || ' 段' END
    || '；周边 28 天警情 ' || CAST(r.demand AS VARCHAR) || ' 起；附近同时掉线 ' || CAST(r.neighbours AS VARCHAR) || ' 台' AS reason_zh,
  CASE r.fault WHEN 'offline' THEN 'offline for ' || CAST($hours AS VARCHAR) || ' hours or more'
    ELSE 'online with ' || CAST(r.clips AS VARCHAR) || ' clips in a day, ' || CAST(round(r.expected, 1) AS VARCHAR) || ' as a rule' END
    || '; ' || CAST(r.demand AS VARCHAR) || ' calls around in 28 days; ' || CAST(r.neighbours AS VARCHAR) || ' others nearby down with it' AS reason_en
FROM ranked AS r
JOIN core.camera AS c ON c.camera_id = r.camera_id
