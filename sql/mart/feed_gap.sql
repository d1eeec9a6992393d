-- 数据缺口：某区县没有任何记录的日期段，直到全部来源的最后一天。 Spans of days without any row, up to the last day of any county.
-- @grain feed, county, first_day
-- @check in_range(days, 1, 100000)
WITH day AS (
  SELECT feed, county, arrow_cast(biz_date, 'Int32') AS day_no FROM mart.feed_day
  UNION ALL
  -- a county that stopped delivering has a gap up to the last day of the others
  SELECT feed, county, arrow_cast(max(last_day), 'Int32') + 1
  FROM mart.feed_day
  CROSS JOIN (SELECT max(biz_date) AS last_day FROM mart.feed_day) AS span
  GROUP BY feed, county
),
step AS (
  SELECT
    feed,
    county,
    day_no,
    lag(day_no) OVER (PARTITION BY feed, county ORDER BY day_no) AS previous_no
  FROM day
)
SELECT
  feed,
  county,
  arrow_cast(arrow_cast(previous_no + 1, 'Int32'), 'Date32') AS first_day,
  arrow_cast(arrow_cast(day_no - 1, 'Int32'), 'Date32') AS last_day,
  CAST(day_no - previous_no - 1 AS BIGINT) AS days
FROM step
WHERE day_no - previous_no > 1
