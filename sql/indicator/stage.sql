-- 处警环节指标：每区县每月每指标一行，长表；派警、签收、出动、反馈时长与巡处占比。
-- Indicators of the stages of a call, one row per county, month, indicator and bin: processing, acknowledging, turning out, feedback, and
-- the share of dispatches that patrols and posts took. I-R3 and I-R4 may rank where warning.time_plausibility found nothing.
-- @grain county, indicator, part, period
-- @column indicator zh "指标" sign of the indicator
-- @column part zh "分项" bin, from its first value to below its second
-- @column period zh "月份" first day of the month
-- @column days zh "有数据天数" days of the month with a dispatched call
-- @column value zh "数值" in the unit: share of a bin, seconds
-- @column numerator zh "分子" calls in the bin; empty for a percentile
-- @column denominator zh "分母" calls with a measured time
-- @column lower zh "下限" lower 95 % limit: Wilson for shares, by rank for the percentile
-- @column upper zh "上限" upper 95 % limit
-- @column target zh "目标" target, where there is one
-- @column n_excluded zh "剔除数" calls of the month without a time that could be measured
-- @column rankable zh "可排名" whether it may be used in a league table
-- @check unique(county, indicator, part, period)
-- @check not_null(county, period, n_excluded)
WITH sent AS (
  SELECT alarm_id, min(arrow_cast(dispatched_at, 'Int64')) AS at, count(*) AS units, count(*) FILTER (WHERE unit_kind IN ('patrol', 'police_post')) AS patrols
  FROM core.dispatch
  GROUP BY alarm_id
),
fed_back AS (
  SELECT alarm_id, min(arrow_cast(fed_back_at, 'Int64')) AS at FROM core.feedback WHERE is_final GROUP BY alarm_id
),
call AS (
  SELECT
    i.county, CAST(date_trunc('month', i.biz_date) AS DATE) AS period, i.biz_date, i.process_seconds, i.acknowledge_seconds AS ack,
    i.acknowledge_seconds + i.turnout_seconds AS turnout,
    -- of the final feedback, from the first dispatch; one that was entered before has no time
    CASE WHEN f.at >= s.at THEN (f.at - s.at) / 1000000 END AS feedback,
    t.priority IS NOT NULL AS is_urgent, s.units, s.patrols
  FROM mart.alarm_interval AS i
  JOIN sent AS s ON s.alarm_id = i.alarm_id
  LEFT JOIN fed_back AS f ON f.alarm_id = i.alarm_id
  LEFT JOIN (SELECT DISTINCT priority FROM ref.response_target WHERE reading = $response_reading) AS t ON t.priority = i.priority
),
grouped AS (
  -- one pass over the calls: few combinations of bins are left
  SELECT
    county, period, count(*) AS n,
    CASE WHEN ack < 30 THEN 1 WHEN ack < 60 THEN 2 WHEN ack < 120 THEN 3 WHEN ack < 180 THEN 4 WHEN ack >= 180 THEN 5 END AS ack_bin,
    CASE WHEN turnout < 300 THEN 1 WHEN turnout < 600 THEN 2 WHEN turnout < 900 THEN 3 WHEN turnout < 1800 THEN 4 WHEN turnout >= 1800 THEN 5 END AS turnout_bin,
    CASE WHEN feedback < 1800 THEN 1 WHEN feedback < 3600 THEN 2 WHEN feedback < 7200 THEN 3 WHEN feedback < 14400 THEN 4 WHEN feedback >= 14400 THEN 5 END AS feedback_bin
  FROM call
  GROUP BY 1, 2, 4, 5, 6
),
bin AS (
  SELECT * FROM (VALUES
    ('I-R3', 1, '0-30 s'), ('I-R3', 2, '30-60 s'), ('I-R3', 3, '60-120 s'), ('I-R3', 4, '120-180 s'), ('I-R3', 5, '>=180 s'),
    ('I-R4', 1, '0-5 min'), ('I-R4', 2, '5-10 min'), ('I-R4', 3, '10-15 min'), ('I-R4', 4, '15-30 min'), ('I-R4', 5, '>=30 min'),
    ('I-R7', 1, '0-30 min'), ('I-R7', 2, '30-60 min'), ('I-R7', 3, '1-2 h'), ('I-R7', 4, '2-4 h'), ('I-R7', 5, '>=4 h')
  ) AS b (indicator, number, part)
),
placed AS (
  SELECT g.county, g.period, g.n, b.*, CASE b.indicator WHEN 'I-R3' THEN g.ack_bin WHEN 'I-R4' THEN g.turnout_bin ELSE g.feedback_bin END AS placed
  FROM grouped AS g
  CROSS JOIN bin AS b
),
ordered AS (
  SELECT
    county, period, count(DISTINCT biz_date) AS days, CAST(sum(units) AS BIGINT) AS units, CAST(sum(patrols) AS BIGINT) AS patrols,
    count(*) FILTER (WHERE is_urgent) AS urgent, count(*) FILTER (WHERE is_urgent AND process_seconds >= 0) AS processed,
    percentile(process_seconds, 0.9) FILTER (WHERE is_urgent AND process_seconds >= 0) AS p90,
    array_agg(process_seconds ORDER BY process_seconds) FILTER (WHERE is_urgent AND process_seconds >= 0) AS seconds
  FROM call
  GROUP BY county, period
),
share AS (
  SELECT county, period, indicator, part, coalesce(sum(n) FILTER (WHERE placed = number), 0) AS numerator,
    coalesce(sum(n) FILTER (WHERE placed IS NOT NULL), 0) AS denominator, coalesce(sum(n) FILTER (WHERE placed IS NULL), 0) AS n_excluded
  FROM placed
  GROUP BY county, period, indicator, part
  UNION ALL
  SELECT county, period, 'I-R10', '', patrols, units, 0 FROM ordered
),
value AS (
  SELECT county, period, indicator, part, CAST(numerator AS DOUBLE) / nullif(denominator, 0) AS value, numerator, denominator,
    wilson_interval(numerator, denominator, 0.95)['lower'] AS lower, wilson_interval(numerator, denominator, 0.95)['upper'] AS upper, n_excluded
  FROM share
  UNION ALL
  -- the limits of a percentile are the values whose ranks are two deviations of a binomial count away
  SELECT county, period, 'I-R2', 'p90', round(p90, 1), NULL, processed,
    seconds[greatest(1, CAST(floor(0.9 * processed - 1.96 * sqrt(0.09 * processed)) AS BIGINT))],
    seconds[least(processed, CAST(ceil(0.9 * processed + 1.96 * sqrt(0.09 * processed)) AS BIGINT) + 1)], urgent - processed
  FROM ordered
),
kind AS (
  SELECT * FROM (VALUES
    ('I-R2', '派警时长（紧急警情）', 'processing of urgent calls, reported → dispatched', 'seconds', 60.0, true),
    ('I-R3', '签收速度', 'acknowledging, dispatched → acknowledged', 'share', NULL, true),
    ('I-R4', '出警速度', 'turning out, dispatched → en route', 'share', NULL, true),
    ('I-R7', '反馈时长', 'feedback, dispatched → final feedback', 'share', NULL, true),
    ('I-R10', '巡处一体率', 'dispatches taken by patrols and posts', 'share', NULL, false)
  ) AS k (indicator, name_zh, name_en, unit, target, rankable)
)
SELECT
  v.county, coalesce(a.name_zh, v.county) AS county_zh, coalesce(a.name_en, v.county) AS county_en,
  v.indicator, v.part, k.name_zh, k.name_en, k.unit, v.period, o.days,
  v.value, v.numerator, v.denominator, v.lower, v.upper, k.target, v.n_excluded, k.rankable
FROM value AS v
JOIN kind AS k ON k.indicator = v.indicator
JOIN (SELECT county, period, days FROM ordered) AS o ON o.county = v.county AND o.period = v.period
LEFT JOIN ref.area AS a ON a.code = v.county
