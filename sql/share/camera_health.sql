-- 本区县摄像机：每台每日录像段数、时长与离线次数。 Clips, recorded time and outages of a county's cameras by day.
SELECT c.county, c.camera_id, d.biz_date, d.clips, d.recorded_seconds, d.outages
FROM core.camera_day AS d
JOIN core.camera AS c ON c.camera_id = d.camera_id
WHERE d.biz_date > (SELECT max(biz_date) FROM core.camera_day) - INTERVAL '28 days'
