-- 改类：每区县、月份、接警类别、终审类别一行，改了多少、占多少、因此进出有效警情与空间产品多少。
-- Calls whose class changed after they were filed, by county, month and pair of classes, and what the change did to the indicators:
-- how many more or fewer count as effective, may be mapped, and so reach the warnings. A pair that moves numbers down is to be looked at.
-- @grain county, period, category_call, category
-- @column period zh "月份" first day of the month
-- @column category_call zh "接警类别" class at call-taking
-- @column category zh "终审类别" class of the final feedback
-- @column n zh "改类数" calls that went from the one to the other
-- @column filed zh "接警数" calls of the month that were filed under the first and concluded
-- @column share zh "占比" of those
-- @column lower zh "下限" lower 95 % limit, Wilson
-- @column upper zh "上限" upper 95 % limit
-- @column effective_change zh "有效警情增减" what it did to the count of effective calls (I-D0)
-- @column mapped_change zh "可上图增减" what it did to the calls that spatial products may read
-- @column n_excluded zh "剔除数" calls filed under the first that nobody concluded
-- @column rankable zh "可排名" never: a change may be right
-- @check unique(county, period, category_call, category)
-- @check in_range(share, 0, 1)
WITH concluded AS (
  SELECT DISTINCT alarm_id FROM core.feedback WHERE is_final AND category_final IS NOT NULL
),
call AS (
  SELECT a.county, CAST(date_trunc('month', a.biz_date) AS DATE) AS period, a.category_call, a.category, f.alarm_id IS NOT NULL AS is_concluded
  FROM core.alarm AS a
  LEFT JOIN concluded AS f ON f.alarm_id = a.alarm_id
),
filed AS (
  SELECT county, period, category_call, count(*) FILTER (WHERE is_concluded) AS filed, count(*) FILTER (WHERE NOT is_concluded) AS n_excluded
  FROM call
  GROUP BY county, period, category_call
),
changed AS (
  SELECT county, period, category_call, category, count(*) AS n
  FROM call
  WHERE is_concluded AND category <> category_call
  GROUP BY county, period, category_call, category
)
SELECT
  c.county,
  coalesce(a.name_zh, c.county) AS county_zh,
  coalesce(a.name_en, c.county) AS county_en,
  c.period,
  c.category_call,
  coalesce(b.name_zh, c.category_call) AS from_zh,
  coalesce(b.name_en, c.category_call) AS from_en,
  c.category,
  coalesce(t.name_zh, c.category) AS into_zh,
  coalesce(t.name_en, c.category) AS into_en,
  c.n,
  f.filed,
  CAST(c.n AS DOUBLE) / f.filed AS share,
  wilson_interval(c.n, f.filed, 0.95)['lower'] AS lower,
  wilson_interval(c.n, f.filed, 0.95)['upper'] AS upper,
  c.n * (CAST(coalesce(t.is_effective, true) AS BIGINT) - CAST(coalesce(b.is_effective, true) AS BIGINT)) AS effective_change,
  c.n * (CAST(coalesce(t.is_mappable AND NOT t.is_discretionary, false) AS BIGINT)
    - CAST(coalesce(b.is_mappable AND NOT b.is_discretionary, false) AS BIGINT)) AS mapped_change,
  f.n_excluded,
  false AS rankable
FROM changed AS c
JOIN filed AS f ON f.county = c.county AND f.period = c.period AND f.category_call = c.category_call
LEFT JOIN ref.category AS b ON b.code = c.category_call
LEFT JOIN ref.category AS t ON t.code = c.category
LEFT JOIN ref.area AS a ON a.code = c.county
