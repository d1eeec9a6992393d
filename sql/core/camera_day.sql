-- 摄像机日况：每台每日一行。 One row per camera and day: clips, seconds recorded, outages that began that day.
-- @grain camera_id, biz_date
-- @incremental biz_date
-- @check unique(camera_id, biz_date)
WITH clip AS (
  SELECT camera_id, biz_date, count(*) AS clips, sum(length_seconds) AS recorded_seconds
  FROM core.video_index
  GROUP BY camera_id, biz_date
),
outage AS (
  SELECT camera_id, biz_date, count(*) AS outages
  FROM source.camera_status
  WHERE event = 'offline'
  GROUP BY camera_id, biz_date
)
SELECT
  coalesce(c.camera_id, o.camera_id) AS camera_id,
  coalesce(c.biz_date, o.biz_date) AS biz_date,
  coalesce(c.clips, 0) AS clips,
  coalesce(c.recorded_seconds, 0) AS recorded_seconds,
  coalesce(o.outages, 0) AS outages
FROM clip AS c
FULL OUTER JOIN outage AS o ON o.camera_id = c.camera_id AND o.biz_date = c.biz_date
