-- 区划：每个区县、街道一行。 One row per county and street.
-- @grain code
-- @check not_null(code, kind, county, name_zh)
-- @check unique(code)
SELECT code, kind, county, name_zh, name_en, lon, lat, boundary
FROM source.area
QUALIFY ingested_at = max(ingested_at) OVER (PARTITION BY county)
