-- 快反超时：某区县某级紧急警情一周的达标率，明显低于自己过去 8 周，或低于全市做得到的下限。
-- A county whose share of urgent calls of a tier that were reached in time fell clearly below its own eight weeks before, or is below a floor.
-- Judged once a week, Monday to Sunday, on the Sunday: windows that overlap would tell of one fall seven times. The row is about a
-- county, never about who drove. The floor is asked for only in a tier in which the city as a whole is above it: a target that
-- nobody meets says nothing of one county.
-- @grain county, tier, biz_date
-- @incremental biz_date
-- @lookback 62 days
-- @column tier zh "紧急级别" tier of the target
-- @column n zh "有效起数" urgent calls of the week with a measured response
-- @column excluded_share zh "剔除占比" share of the urgent calls that were dispatched and have none
-- @column compliance zh "达标率" share of the valid ones within the target
-- @column reference zh "参照" what the upper limit of that share is below: lower limit of the own past, or the floor
-- @column shortfall zh "差距" how far below, as a share of the reference
-- @column seconds_over zh "超时中位秒数" median seconds by which the late ones missed the target
-- @column stage_of_loss zh "失时环节" the stage whose median grew most against the weeks before
-- @column stage_seconds zh "失时秒数" by so many seconds
-- @check unique(county, tier, biz_date)
-- @check accepted(stage_of_loss, 'process', 'ack', 'turnout', 'travel', 'none')
-- @check in_range(shortfall, 0, 1)
-- @check in_range(n, 30, 1000000)
WITH call AS (
  SELECT
    i.county, t.tier, t.target_seconds, i.reason = 'valid' AS is_valid, i.arrived_on_minute,
    -- the Sunday of its week: day 4 was a Monday
    10 + (arrow_cast(i.biz_date, 'Int32') - 4) / 7 * 7 AS sunday, arrow_cast(i.biz_date, 'Int32') AS day_no,
    CASE WHEN t.clock_start = 'dispatched' THEN i.dispatch_arrive_seconds ELSE i.response_seconds END AS clock_seconds,
    i.process_seconds, i.acknowledge_seconds, i.turnout_seconds, i.travel_seconds
  FROM mart.alarm_interval AS i
  LEFT JOIN ref.response_target AS t ON t.reading = $response_reading AND t.priority = i.priority
),
whole AS (
  -- a week that lacks a day, and one whose arrivals are stamped on the whole minute, is neither judged nor a past
  SELECT county, sunday
  FROM call
  GROUP BY county, sunday
  HAVING count(DISTINCT day_no) = 7
    AND 2 * count(*) FILTER (WHERE is_valid AND arrived_on_minute) <= count(*) FILTER (WHERE is_valid)
),
week AS (
  -- medians are kept twice as large, in whole numbers
  SELECT
    c.county, c.tier, c.sunday, count(*) AS urgent, count(*) FILTER (WHERE c.is_valid) AS n,
    count(*) FILTER (WHERE c.is_valid AND c.clock_seconds <= c.target_seconds) AS within_target,
    percentile(c.clock_seconds - c.target_seconds, 0.5) FILTER (WHERE c.is_valid AND c.clock_seconds > c.target_seconds) AS seconds_over,
    CAST(2 * percentile(c.process_seconds, 0.5) FILTER (WHERE c.is_valid) AS BIGINT) AS process,
    CAST(2 * percentile(c.acknowledge_seconds, 0.5) FILTER (WHERE c.is_valid) AS BIGINT) AS ack,
    CAST(2 * percentile(c.turnout_seconds, 0.5) FILTER (WHERE c.is_valid) AS BIGINT) AS turnout,
    CAST(2 * percentile(c.travel_seconds, 0.5) FILTER (WHERE c.is_valid) AS BIGINT) AS travel
  FROM call AS c
  JOIN whole AS w ON w.county = c.county AND w.sunday = c.sunday
  WHERE c.tier IS NOT NULL
  GROUP BY c.county, c.tier, c.sunday
),
past AS (
  SELECT
    *,
    count(*) OVER eight AS weeks, sum(n) OVER eight AS past_n, sum(within_target) OVER eight AS past_within,
    process / 2.0 - sum(process) OVER eight / (2.0 * count(process) OVER eight) AS process_more,
    ack / 2.0 - sum(ack) OVER eight / (2.0 * count(ack) OVER eight) AS ack_more,
    turnout / 2.0 - sum(turnout) OVER eight / (2.0 * count(turnout) OVER eight) AS turnout_more,
    travel / 2.0 - sum(travel) OVER eight / (2.0 * count(travel) OVER eight) AS travel_more,
    CAST(sum(within_target) OVER city AS DOUBLE) / nullif(sum(n) OVER city, 0) AS city_compliance
  FROM week
  WINDOW eight AS (PARTITION BY county, tier ORDER BY sunday RANGE BETWEEN 56 PRECEDING AND 7 PRECEDING), city AS (PARTITION BY tier, sunday)
),
limits AS (
  SELECT
    *,
    wilson_interval(within_target, n, $level)['upper'] AS upper,
    -- below 4 weeks there is no past, below a reachable city no floor
    CASE WHEN weeks >= 4 THEN wilson_interval(past_within, past_n, $level)['lower'] END AS past_lower,
    CASE WHEN city_compliance >= $floor THEN $floor END AS floor_lower,
    greatest(process_more, ack_more, turnout_more, travel_more) AS most
  FROM past
  WHERE n >= 30
),
breach AS (
  SELECT *, greatest(past_lower, floor_lower) AS reference FROM limits WHERE upper < greatest(past_lower, floor_lower)
),
told AS (
  SELECT *, 1 - upper / reference AS shortfall,
    CASE WHEN coalesce(most, 0) <= 0 THEN 'none' WHEN most = process_more THEN 'process' WHEN most = ack_more THEN 'ack'
      WHEN most = turnout_more THEN 'turnout' ELSE 'travel' END AS stage
  FROM breach
),
word AS (
  SELECT * FROM (VALUES ('process', '派警', 'processing'), ('ack', '签收', 'acknowledging'), ('turnout', '出动', 'turning out'),
    ('travel', '路途', 'travel')) AS w (stage, zh, en)
)
SELECT
  b.county, b.tier, arrow_cast(arrow_cast(b.sunday, 'Int32'), 'Date32') AS biz_date,
  b.n, CAST(b.urgent - b.n AS DOUBLE) / b.urgent AS excluded_share, CAST(b.within_target AS DOUBLE) / b.n AS compliance,
  b.upper AS compliance_upper, CAST(b.past_within AS DOUBLE) / nullif(b.past_n, 0) AS past_compliance, b.past_n, b.weeks, b.reference,
  round(b.shortfall, 3) AS shortfall, b.seconds_over, b.stage AS stage_of_loss, round(greatest(b.most, 0), 1) AS stage_seconds,
  CASE WHEN b.shortfall >= $red THEN 'red' WHEN b.shortfall >= $orange THEN 'orange' WHEN b.shortfall >= $yellow THEN 'yellow' ELSE 'blue' END AS grade,
  coalesce(a.name_zh, b.county) AS place_zh, coalesce(a.name_en, b.county) AS place_en,
  '级别 ' || b.tier || '：一周 ' || CAST(b.n AS VARCHAR) || ' 起有效，达标 ' || CAST(round(100.0 * b.within_target / b.n, 1) AS VARCHAR)
    || '%，上限 ' || CAST(round(100 * b.upper, 1) AS VARCHAR) || '% 低于参照 ' || CAST(round(100 * b.reference, 1) AS VARCHAR)
    || '%；剔除 ' || CAST(b.urgent - b.n AS VARCHAR) || ' 起' || coalesce('；' || w.zh || '环节多 ' || CAST(round(b.most, 1) AS VARCHAR) || ' 秒', '') AS reason_zh,
  'tier ' || b.tier || ': ' || CAST(b.n AS VARCHAR) || ' valid calls in the week, ' || CAST(round(100.0 * b.within_target / b.n, 1) AS VARCHAR)
    || ' % in time, upper limit ' || CAST(round(100 * b.upper, 1) AS VARCHAR) || ' % below ' || CAST(round(100 * b.reference, 1) AS VARCHAR)
    || ' %; ' || CAST(b.urgent - b.n AS VARCHAR) || ' left out' || coalesce('; ' || w.en || ' took ' || CAST(round(b.most, 1) AS VARCHAR) || ' s more', '') AS reason_en
FROM told AS b
LEFT JOIN word AS w ON w.stage = b.stage
LEFT JOIN ref.area AS a ON a.code = b.county
