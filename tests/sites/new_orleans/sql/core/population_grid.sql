-- 人口网格：本站无人口数据，比率不作计算。 No population is known for this site; rates stay empty.
-- @grain cell, ref_month
SELECT CAST(NULL AS BIGINT) AS cell, CAST(NULL AS DATE) AS ref_month, CAST(NULL AS BIGINT) AS residents,
  CAST(NULL AS BIGINT) AS households
WHERE false
