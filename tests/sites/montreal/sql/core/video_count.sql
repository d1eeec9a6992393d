-- 视频计数：每传感器每窗口每类一行。 One row per sensor, window and class; the two windows of the hour that clocks repeat are one.
-- @grain camera_id, window_start, class
-- @incremental biz_date
-- @check not_null(camera_id, window_start, class, n)
-- @check unique(camera_id, window_start, class)
-- @check in_range(n, 0, 1000000)
SELECT camera_id, window_start, class, sum(n) AS n, biz_date
FROM (
  SELECT sensor_id AS camera_id, window_start, 'pedestrian' AS class, pedestrian_total AS n, biz_date FROM source.video_count
  UNION ALL
  SELECT sensor_id, window_start, 'non_motor_vehicle', bike_total, biz_date FROM source.video_count
  UNION ALL
  SELECT sensor_id, window_start, 'motor_vehicle', car_total + large_vehicle_total, biz_date FROM source.video_count
) AS c
GROUP BY camera_id, window_start, class, biz_date
