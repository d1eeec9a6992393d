-- 视频计数：每台摄像机每窗口每类一行。 One row per camera, window and class; counts only, never objects.
-- @grain camera_id, window_start, class
-- @incremental biz_date
-- @check not_null(camera_id, window_start, class, n)
-- @check in_range(n, 0, 1000000)
SELECT camera_id, window_start, class, n, biz_date
FROM source.video_count
