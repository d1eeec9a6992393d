-- 预警闭环：每区县、规则、月份一行，签收与办结时长、准确率、过期占比。
-- What became of the warnings that a month opened, by county and rule: seen, closed with what, expired, and of how many that
-- somebody looked into there was something to find. Warnings that were told together count as well, their covers do not.
-- @grain county, rule, period
-- @column period zh "月份" first day of the month in which they were opened
-- @column pooled zh "合并上报" warnings for which a week had no room
-- @column acknowledge_days_p50 zh "签收天数中位数" days from opening to the first acknowledgement or closing
-- @column precision zh "准确率" closed as useful, of those closed as useful or with nothing found
-- @column lower zh "下限" lower 95 % limit of the precision, Wilson
-- @column upper zh "上限" upper 95 % limit
-- @column n_excluded zh "剔除数" closed as a data fault or as a duplicate: they say nothing of the rule
-- @column expired_share zh "过期占比" of those that are not open any more
-- @column rankable zh "可排名" thirty judged warnings at least
-- @check unique(county, rule, period)
-- @check in_range(precision, 0, 1)
WITH life AS (
  SELECT
    warning_id,
    rule,
    -- a warning about several counties is the city's
    coalesce(max(county), 'city') AS county,
    min(biz_date) AS opened_on,
    bool_or(pool IS NOT NULL) AS is_pooled,
    min(biz_date) FILTER (WHERE act IN ('acknowledged', 'closed')) AS seen_on,
    -- the last word counts
    last_value(result ORDER BY number) FILTER (WHERE act = 'closed') AS result,
    bool_or(act = 'closed') AS is_closed,
    bool_or(act = 'expired') AS is_expired,
    bool_or(act = 'withdrawn') AS is_withdrawn
  FROM ops.warning
  WHERE unit <> 'pool'
  GROUP BY warning_id, rule
),
month AS (
  SELECT
    county,
    rule,
    CAST(date_trunc('month', opened_on) AS DATE) AS period,
    count(*) AS opened,
    count(*) FILTER (WHERE is_pooled) AS pooled,
    count(seen_on) AS acknowledged,
    percentile(arrow_cast(seen_on, 'Int32') - arrow_cast(opened_on, 'Int32'), 0.5) FILTER (WHERE seen_on IS NOT NULL) AS acknowledge_days_p50,
    count(*) FILTER (WHERE is_closed) AS closed,
    count(*) FILTER (WHERE result = 'useful') AS useful,
    count(*) FILTER (WHERE result = 'nothing_found') AS nothing_found,
    count(*) FILTER (WHERE result IN ('data_fault', 'duplicate')) AS n_excluded,
    count(*) FILTER (WHERE is_expired AND NOT is_closed) AS expired,
    count(*) FILTER (WHERE is_withdrawn AND NOT is_closed) AS withdrawn,
    count(*) FILTER (WHERE is_closed OR is_expired OR is_withdrawn) AS ended
  FROM life
  GROUP BY county, rule, date_trunc('month', opened_on)
)
SELECT
  m.county,
  coalesce(a.name_zh, m.county) AS county_zh,
  coalesce(a.name_en, m.county) AS county_en,
  m.rule,
  m.period,
  m.opened,
  m.pooled,
  m.acknowledged,
  m.acknowledge_days_p50,
  m.closed,
  m.useful,
  m.nothing_found,
  m.n_excluded,
  m.expired,
  m.withdrawn,
  CAST(m.useful AS DOUBLE) / nullif(m.useful + m.nothing_found, 0) AS precision,
  wilson_interval(m.useful, m.useful + m.nothing_found, 0.95)['lower'] AS lower,
  wilson_interval(m.useful, m.useful + m.nothing_found, 0.95)['upper'] AS upper,
  CAST(m.expired AS DOUBLE) / nullif(m.ended, 0) AS expired_share,
  m.useful + m.nothing_found >= 30 AS rankable
FROM month AS m
LEFT JOIN ref.area AS a ON a.code = m.county
