-- 区划：本站无边界数据。 No boundaries are known for this site.
-- @grain code
SELECT CAST(NULL AS VARCHAR) AS code, CAST(NULL AS VARCHAR) AS kind, CAST(NULL AS VARCHAR) AS county,
  CAST(NULL AS VARCHAR) AS name_zh, CAST(NULL AS VARCHAR) AS name_en, CAST(NULL AS DOUBLE) AS lon,
  CAST(NULL AS DOUBLE) AS lat, CAST(NULL AS VARCHAR) AS boundary
WHERE false
