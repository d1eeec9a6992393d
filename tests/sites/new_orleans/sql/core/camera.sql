-- 摄像机：只知道位置，按四周 100 米可见处理。 Positions only; each is taken to see 100 metres around.
-- @grain camera_id
-- @check unique(camera_id)
SELECT camera_id, county, CAST(NULL AS VARCHAR) AS area, CAST(NULL AS VARCHAR) AS name, 'unknown' AS kind,
  true AS is_networked, lon, lat, cell, CAST(0 AS DOUBLE) AS bearing, CAST(360 AS DOUBLE) AS fov, CAST(100 AS DOUBLE) AS range_metres
FROM source.camera
