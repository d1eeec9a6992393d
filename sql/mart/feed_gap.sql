-- 数据缺口：某区县在其数据期内没有任何记录的日期段。 Spans of days without any row inside a county's own span.
-- @grain feed, county, first_day
-- @check in_range(days, 1, 100000)
WITH step AS (
  SELECT
    feed,
    county,
    arrow_cast(biz_date, 'Int32') AS day_no,
    lag(arrow_cast(biz_date, 'Int32')) OVER (PARTITION BY feed, county ORDER BY biz_date) AS previous_no
  FROM mart.feed_day
)
SELECT
  feed,
  county,
  arrow_cast(arrow_cast(previous_no + 1, 'Int32'), 'Date32') AS first_day,
  arrow_cast(arrow_cast(day_no - 1, 'Int32'), 'Date32') AS last_day,
  CAST(day_no - previous_no - 1 AS BIGINT) AS days
FROM step
WHERE day_no - previous_no > 1
