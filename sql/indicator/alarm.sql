-- 警情指标：每区县每月每指标一行，长表；与 indicator.stage、indicator.video 同列。
-- Indicators of calls, one row per county, month and indicator: incidents, invalid share, share of classes that changed. The columns
-- are those of indicator.stage and indicator.video. None of them may rank: many calls are no merit and no fault.
-- @grain county, indicator, part, period
-- @column indicator zh "指标" sign of the indicator
-- @column part zh "分项" part of it, or empty
-- @column period zh "月份" first day of the month
-- @column days zh "有数据天数" days of the month on which the county delivered: a month that is not over has fewer
-- @column value zh "数值" in the unit
-- @column numerator zh "分子" rows counted
-- @column denominator zh "分母" of so many rows, or residents
-- @column lower zh "下限" lower 95 % limit: exact Poisson for counts, Wilson for shares
-- @column upper zh "上限" upper 95 % limit
-- @column target zh "目标" target, where there is one
-- @column n_excluded zh "剔除数" rows of the month that the value leaves out
-- @column rankable zh "可排名" whether it may be used in a league table
-- @check unique(county, indicator, part, period)
-- @check not_null(county, period, n_excluded)
WITH month AS (
  SELECT
    a.county,
    CAST(date_trunc('month', a.biz_date) AS DATE) AS period,
    count(DISTINCT a.biz_date) AS days,
    count(*) AS n,
    -- several calls on one matter are one incident
    count(*) FILTER (WHERE a.is_effective AND a.main_alarm_id IS NULL) AS incidents,
    count(*) FILTER (WHERE NOT a.is_effective) AS invalid,
    count(f.alarm_id) AS concluded,
    count(f.alarm_id) FILTER (WHERE a.category <> a.category_call) AS changed
  FROM core.alarm AS a
  -- a class that nobody concluded cannot have changed
  LEFT JOIN (SELECT DISTINCT alarm_id FROM core.feedback WHERE is_final AND category_final IS NOT NULL) AS f ON f.alarm_id = a.alarm_id
  GROUP BY a.county, date_trunc('month', a.biz_date)
),
kind AS (
  SELECT * FROM (VALUES
    ('I-D0', 'count', '有效警情数', 'effective incidents', 'incidents'),
    ('I-D0', 'per_10000', '每万人有效警情数', 'effective incidents per 10,000 residents', 'per 10,000 residents'),
    ('I-D5', '', '无效警情占比', 'share of invalid calls', 'share'),
    ('I-D8', '', '类别漂移率', 'share of calls whose final class is another', 'share')
  ) AS k (indicator, part, name_zh, name_en, unit)
),
counted AS (
  SELECT
    m.county, m.period, m.days, k.*,
    CASE k.indicator WHEN 'I-D0' THEN m.incidents WHEN 'I-D5' THEN m.invalid ELSE m.changed END AS numerator,
    CASE WHEN k.part = 'per_10000' THEN p.residents WHEN k.indicator = 'I-D5' THEN m.n WHEN k.indicator = 'I-D8' THEN m.concluded END AS denominator,
    CASE k.indicator WHEN 'I-D0' THEN m.n - m.incidents WHEN 'I-D5' THEN 0 ELSE m.n - m.concluded END AS n_excluded,
    -- a count stands for itself, a rate for 10,000 residents
    CASE k.part WHEN 'count' THEN 1.0 WHEN 'per_10000' THEN 10000.0 / nullif(p.residents, 0) END AS factor
  FROM month AS m
  CROSS JOIN kind AS k
  LEFT JOIN core.population_area AS p ON p.county = m.county
)
SELECT
  c.county,
  coalesce(a.name_zh, c.county) AS county_zh,
  coalesce(a.name_en, c.county) AS county_en,
  c.indicator,
  c.part,
  c.name_zh,
  c.name_en,
  c.unit,
  c.period,
  c.days,
  CASE c.indicator WHEN 'I-D0' THEN c.numerator * c.factor ELSE CAST(c.numerator AS DOUBLE) / nullif(c.denominator, 0) END AS value,
  c.numerator,
  c.denominator,
  CASE c.indicator WHEN 'I-D0' THEN poisson_interval(c.numerator, 0.95)['lower'] * c.factor
    ELSE wilson_interval(c.numerator, c.denominator, 0.95)['lower'] END AS lower,
  CASE c.indicator WHEN 'I-D0' THEN poisson_interval(c.numerator, 0.95)['upper'] * c.factor
    ELSE wilson_interval(c.numerator, c.denominator, 0.95)['upper'] END AS upper,
  CAST(NULL AS DOUBLE) AS target,
  c.n_excluded,
  false AS rankable
FROM counted AS c
LEFT JOIN ref.area AS a ON a.code = c.county
