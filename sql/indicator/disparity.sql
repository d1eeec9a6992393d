-- 误报负担：每条规则一行，近一年“查无情况”的预警在稠密与稀疏两类区县间每万人之比。
-- How the false alarms of a rule weigh on areas: warnings of a year that were closed with nothing found, by 10,000 residents, in
-- densely against in sparsely peopled counties. Outside 0.8 to 1.25, where chance alone would not do it, somebody has to answer for it:
-- the rule warns of nothing new until it is signed.
-- @grain rule
-- @column dense zh "稠密误报" false alarms in counties whose inhabited cells hold more residents than the city's mean
-- @column sparse zh "稀疏误报" false alarms in the other counties
-- @column dense_rate zh "稠密每万人" by 10,000 residents
-- @column sparse_rate zh "稀疏每万人" by 10,000 residents
-- @column ratio zh "比值" dense rate over sparse rate; empty where sparse counties had none
-- @column lower zh "下限" lower 95 % limit of the ratio: Wilson for the dense share of all false alarms, turned into a ratio of rates
-- @column upper zh "上限" upper 95 % limit; empty where there is none
-- @column n_excluded zh "剔除数" warnings of the year that nobody closed, or that were a data fault or a duplicate
-- @column needs_signature zh "须签署" outside 0.8-1.25, and the interval does not hold 1
-- @check unique(rule)
-- @check in_range(ratio, 0, 1000000)
WITH life AS (
  SELECT rule, warning_id, max(county) AS county, min(biz_date) AS opened_on, last_value(result ORDER BY number) FILTER (WHERE act = 'closed') AS result
  FROM ops.warning
  WHERE unit <> 'pool' AND county IS NOT NULL
  GROUP BY rule, warning_id
),
recent AS (
  SELECT * FROM life WHERE opened_on > (SELECT max(biz_date) FROM ops.warning) - INTERVAL '365 days'
),
peopled AS (
  SELECT county, residents, CAST(residents AS DOUBLE) / cells > sum(residents) OVER () / CAST(sum(cells) OVER () AS DOUBLE) AS is_dense
  FROM core.population_area
  WHERE residents > 0 AND cells > 0
),
lived AS (
  SELECT sum(residents) FILTER (WHERE is_dense) AS dense_residents, sum(residents) FILTER (WHERE NOT is_dense) AS sparse_residents FROM peopled
),
counted AS (
  SELECT
    r.rule,
    count(*) FILTER (WHERE r.result = 'nothing_found' AND p.is_dense) AS dense,
    count(*) FILTER (WHERE r.result = 'nothing_found' AND NOT p.is_dense) AS sparse,
    count(*) FILTER (WHERE coalesce(r.result, '') NOT IN ('useful', 'nothing_found')) AS n_excluded
  FROM recent AS r
  JOIN peopled AS p ON p.county = r.county
  GROUP BY r.rule
),
weighed AS (
  SELECT
    c.*,
    l.dense_residents,
    l.sparse_residents,
    CAST(l.sparse_residents AS DOUBLE) / l.dense_residents AS weight,
    wilson_interval(c.dense, c.dense + c.sparse, 0.95) AS share
  FROM counted AS c
  CROSS JOIN lived AS l
),
ratio AS (
  SELECT
    *,
    CAST(dense AS DOUBLE) / nullif(sparse, 0) * weight AS ratio,
    share['lower'] / nullif(1 - share['lower'], 0) * weight AS lower,
    share['upper'] / nullif(1 - share['upper'], 0) * weight AS upper
  FROM weighed
)
SELECT
  rule,
  dense,
  sparse,
  dense_residents,
  sparse_residents,
  10000.0 * dense / dense_residents AS dense_rate,
  10000.0 * sparse / sparse_residents AS sparse_rate,
  ratio,
  lower,
  upper,
  n_excluded,
  -- without any false alarm in sparse counties the ratio has no upper end
  coalesce(lower > 1 AND coalesce(ratio, 2) > 1.25 OR upper < 1 AND ratio < 0.8, false) AS needs_signature
FROM ratio
