-- 日历：本站无节假日数据，每天按平日处理。 No holidays are known for this site; every day is an ordinary one.
-- @grain date
SELECT CAST(NULL AS DATE) AS date, CAST(NULL AS VARCHAR) AS day_type, CAST(NULL AS VARCHAR) AS holiday_zh
WHERE false
