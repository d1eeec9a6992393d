-- 地名：每个生僻地名一行。 One row per rare place name.
-- @grain place_no
-- @check unique(place_no)
-- @check not_null(name_zh)
SELECT code AS place_no, 'area' AS kind, substr(code, 1, 6) AS county, CAST(NULL AS VARCHAR) AS area, name_zh, CAST(NULL AS VARCHAR) AS name_en, CAST(NULL AS DOUBLE) AS lon, CAST(NULL AS DOUBLE) AS lat
FROM source.place_name
QUALIFY ingested_at = max(ingested_at) OVER ()
