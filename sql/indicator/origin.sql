-- 报与查：每区县、类别组、月份一行，民警自行发现的占比；占比上升说明看的人多了，不说明事多了。
-- Reported against discovered: the share of calls that officers started, by county, group and month, beside that of the twelve months before.
-- Where it rises, more was looked for, not necessarily more happened: what officers find must not steer where they are sent.
-- @grain county, category_group, period
-- @column period zh "月份" first day of the month
-- @column reported zh "群众等报来" calls of citizens, sensors and other agencies
-- @column discovered zh "民警发现" calls that officers started
-- @column share zh "发现占比" of both
-- @column lower zh "下限" lower 95 % limit, Wilson
-- @column upper zh "上限" upper 95 % limit
-- @column share_before zh "此前占比" of the twelve months before, those that have rows
-- @column is_rising zh "明显上升" the lower limit is above that of the months before by a quarter and more
-- @column n_excluded zh "剔除数" calls of unknown origin
-- @column rankable zh "可排名" never: it is neither merit nor fault
-- @check unique(county, category_group, period)
-- @check in_range(share, 0, 1)
WITH month AS (
  SELECT
    county,
    category_group,
    CAST(date_trunc('month', biz_date) AS DATE) AS period,
    count(*) FILTER (WHERE origin IN ('citizen', 'sensor', 'other_agency')) AS reported,
    count(*) FILTER (WHERE origin = 'police') AS discovered,
    count(*) FILTER (WHERE origin = 'unknown') AS n_excluded
  FROM core.alarm
  GROUP BY county, category_group, date_trunc('month', biz_date)
),
past AS (
  SELECT
    m.county,
    m.category_group,
    m.period,
    sum(b.discovered) AS discovered,
    sum(b.reported + b.discovered) AS n
  FROM month AS m
  JOIN month AS b
    ON b.county = m.county AND b.category_group = m.category_group AND b.period < m.period AND b.period >= m.period - INTERVAL '12 months'
  GROUP BY m.county, m.category_group, m.period
),
judged AS (
  SELECT
    m.*,
    CAST(m.discovered AS DOUBLE) / nullif(m.reported + m.discovered, 0) AS share,
    wilson_interval(m.discovered, m.reported + m.discovered, 0.95) AS limits,
    CAST(p.discovered AS DOUBLE) / nullif(p.n, 0) AS share_before
  FROM month AS m
  LEFT JOIN past AS p ON p.county = m.county AND p.category_group = m.category_group AND p.period = m.period
  -- thirty calls say something of a month
  WHERE m.reported + m.discovered >= 30
)
SELECT
  j.county,
  coalesce(a.name_zh, j.county) AS county_zh,
  coalesce(a.name_en, j.county) AS county_en,
  j.category_group,
  j.period,
  j.reported,
  j.discovered,
  j.share,
  j.limits['lower'] AS lower,
  j.limits['upper'] AS upper,
  j.share_before,
  coalesce(j.limits['lower'] > 1.25 * j.share_before, false) AS is_rising,
  j.n_excluded,
  false AS rankable
FROM judged AS j
LEFT JOIN ref.area AS a ON a.code = j.county
