-- 区划：每个街道一行。 One row per street.
-- @grain code
-- @check not_null(code, kind, county, name_zh)
-- @check unique(code)
SELECT code, 'street' AS kind, county, name_zh, CAST(NULL AS VARCHAR) AS name_en, CAST(NULL AS DOUBLE) AS lon, CAST(NULL AS DOUBLE) AS lat, CAST(NULL AS VARCHAR) AS boundary
FROM source.area
QUALIFY ingested_at = max(ingested_at) OVER ()
