-- 口径变更：并所、换码等，一事一行；基线在此断开。各地按实际改写本文件。
-- Merged stations and new codes, a row each: baselines break here. A site shadows this file with its own rows.
-- @grain change_no
-- @check unique(change_no)
-- @check accepted(kind, 'area', 'category')
SELECT * FROM (VALUES
  (CAST(NULL AS VARCHAR), CAST(NULL AS VARCHAR), CAST(NULL AS VARCHAR), CAST(NULL AS VARCHAR), CAST(NULL AS VARCHAR), CAST(NULL AS DATE))
) AS change (change_no, kind, county, code_from, code_into, first_day)
WHERE change_no IS NOT NULL
