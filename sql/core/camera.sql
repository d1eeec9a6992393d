-- 摄像机台账：每台一行，以最新一份为准。 One row per camera of the newest inventory.
-- @grain camera_id
-- @check not_null(camera_id, lon, lat, cell)
-- @check unique(camera_id)
SELECT camera_id, county, area, name, kind, is_networked, lon, lat, cell, bearing, fov, range_metres
FROM source.camera
QUALIFY ingested_at = max(ingested_at) OVER (PARTITION BY county)
