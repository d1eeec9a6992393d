-- 警情数据质量：每区县每类每日的行数、缺位置数、整分报警数。 Rows, rows without a position and rows on a full minute, per county, group and day.
-- @grain county, category_group, biz_date
-- @incremental biz_date
-- @column mappable zh "可上图行数" rows that may have a position
-- @column without_position zh "缺位置行数" rows that may have a position and have none
-- @column on_minute zh "整分行数" rows reported at second 0
-- @check unique(county, category_group, biz_date)
SELECT
  county,
  category_group,
  biz_date,
  count(*) AS n,
  count(*) FILTER (WHERE is_mappable) AS mappable,
  count(*) FILTER (WHERE is_mappable AND cell IS NULL) AS without_position,
  count(*) FILTER (WHERE arrow_cast(reported_at, 'Int64') % 60000000 = 0) AS on_minute
FROM core.alarm
GROUP BY county, category_group, biz_date
