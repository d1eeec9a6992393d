-- 地名：本站无地名数据，单元以编号表示。 No place names are known for this site; cells show their index.
-- @grain place_no
SELECT CAST(NULL AS VARCHAR) AS place_no, CAST(NULL AS VARCHAR) AS kind, CAST(NULL AS VARCHAR) AS county,
  CAST(NULL AS VARCHAR) AS area, CAST(NULL AS VARCHAR) AS name_zh, CAST(NULL AS VARCHAR) AS name_en,
  CAST(NULL AS DOUBLE) AS lon, CAST(NULL AS DOUBLE) AS lat
WHERE false
