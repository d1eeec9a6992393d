-- 数据到达：每来源每区县每日行数。 Rows per feed, county and day.
-- @grain feed, county, biz_date
-- @incremental biz_date
-- @check unique(feed, county, biz_date)
SELECT 'alarm' AS feed, county, biz_date, count(*) AS n
FROM core.alarm
GROUP BY county, biz_date
