-- 视频禁设区：依法不得设置图像采集设备的区域，每区一行。 Zones where the law allows no camera, a row each.
-- @grain zone_no
-- @check not_null(county, reason, boundary)
-- @check unique(zone_no)
SELECT zone_no, county, reason, boundary
FROM source.exclusion_zone
QUALIFY ingested_at = max(ingested_at) OVER (PARTITION BY county)
