-- 处警响应：每区县一行，到场时长分位数与 1-3-5 达标率，旁列剔除占比。
-- Response by county: exact percentiles of reported → arrived, 1-3-5 compliance, and the excluded share beside each.
-- @grain county, reading
-- @column response_seconds_p50 zh "到场时长中位数" seconds
-- @column excluded_share zh "剔除占比" share of dispatched calls without a measurable response
-- @column is_plausible zh "时间可信" false where over half of the arrivals are stamped on the whole minute
-- @check unique(county, reading)
-- @check in_range(compliance, 0, 1)
-- @check in_range(excluded_share, 0, 1)
WITH target AS (
  SELECT reading, priority, target_seconds, clock_start
  FROM ref.response_target
  WHERE reading = $response_reading
),
judged AS (
  SELECT
    i.county,
    i.reason = 'valid' AS is_valid,
    i.response_seconds,
    CASE WHEN t.clock_start = 'dispatched' THEN i.dispatch_arrive_seconds ELSE i.response_seconds END AS clock_seconds,
    i.arrived_on_minute,
    t.target_seconds
  FROM mart.alarm_interval AS i
  LEFT JOIN target AS t ON t.priority = i.priority
),
county AS (
  SELECT
    county,
    $response_reading AS reading,
    max(target_seconds) AS target_seconds,
    count(*) AS dispatched,
    count(*) FILTER (WHERE is_valid) AS valid,
    count(*) FILTER (WHERE NOT is_valid) AS excluded,
    count(*) FILTER (WHERE target_seconds IS NOT NULL) AS urgent,
    count(*) FILTER (WHERE target_seconds IS NOT NULL AND is_valid) AS urgent_valid,
    count(*) FILTER (WHERE is_valid AND clock_seconds <= target_seconds) AS within_target,
    count(*) FILTER (WHERE is_valid AND arrived_on_minute) AS whole_minute,
    percentile(response_seconds, make_array(0.5, 0.8, 0.9)) FILTER (WHERE is_valid) AS level
  FROM judged
  GROUP BY county
)
SELECT
  c.county,
  coalesce(a.name_zh, c.county) AS name_zh,
  coalesce(a.name_en, c.county) AS name_en,
  c.reading,
  c.target_seconds,
  c.dispatched,
  c.urgent,
  c.valid,
  c.excluded,
  CAST(c.excluded AS DOUBLE) / c.dispatched AS excluded_share,
  c.level[1] AS response_seconds_p50,
  c.level[2] AS response_seconds_p80,
  c.level[3] AS response_seconds_p90,
  c.within_target,
  CASE WHEN c.urgent_valid > 0 THEN CAST(c.within_target AS DOUBLE) / c.urgent_valid END AS compliance,
  wilson_interval(c.within_target, c.urgent_valid, 0.95)['lower'] AS compliance_lower,
  wilson_interval(c.within_target, c.urgent_valid, 0.95)['upper'] AS compliance_upper,
  c.valid > 0 AND 2 * c.whole_minute <= c.valid AS is_plausible
FROM county AS c
LEFT JOIN ref.area AS a ON a.code = c.county
WHERE c.dispatched >= 30
