-- 日历：每天一行，含节假日与调休。 One row per day: workday, weekend, holiday, swapped workday.
-- @grain date
-- @check unique(date)
SELECT date, day_type, holiday_zh
FROM source.calendar
QUALIFY ingested_at = max(ingested_at) OVER ()
