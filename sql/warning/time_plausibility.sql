-- 时间戳可信度：某区县一周的到场时间像事后手填，而不是当场记下。
-- A county whose arrival times of a week look entered by hand instead of measured.
-- Five signs are looked for; one alone may have another reason, so it takes two, or arrivals of which half are stamped on the whole
-- minute (a clock that measures has one in sixty). indicator.response calls the times of a county implausible by the same half.
-- Judged once a week, Monday to Sunday, on the Sunday. The row is about a county, never about who entered the times.
-- @grain county, biz_date
-- @incremental biz_date
-- @lookback 6 days
-- @column n zh "到场数" valid arrivals of the week
-- @column share_affected zh "受影响比例" of them on the whole minute, at the second of the dispatch, or before the unit left
-- @column flags zh "标志数" signs found: whole minutes, zero seconds, identical intervals, arrived before en route, all in time
-- @column on_minute_share zh "整分比例" arrivals at second 0
-- @column on_minute_z zh "整分偏差" excess of whole minutes over chance, standard deviations
-- @column zero_share zh "零秒比例" arrivals at the second of the dispatch
-- @column same_interval_share zh "同一时长比例" arrivals with the most common interval above 0 s
-- @column reversed_share zh "到场早于出发比例" of the arrivals with both times
-- @column perfect_tier zh "全部达标级别" a tier with more than 50 calls, all within the target
-- @check unique(county, biz_date)
-- @check in_range(share_affected, 0, 1)
-- @check in_range(flags, 1, 5)
WITH call AS (
  SELECT
    i.county, t.tier, 10 + (arrow_cast(i.biz_date, 'Int32') - 4) / 7 * 7 AS sunday, arrow_cast(i.biz_date, 'Int32') AS day_no,
    i.dispatch_arrive_seconds AS gap, i.arrived_on_minute, i.arrived_before_enroute,
    CASE WHEN t.clock_start = 'dispatched' THEN i.dispatch_arrive_seconds ELSE i.response_seconds END <= t.target_seconds AS is_in_time
  FROM mart.alarm_interval AS i
  LEFT JOIN ref.response_target AS t ON t.reading = $response_reading AND t.priority = i.priority
  WHERE i.reason IN ('valid', 'zero')
),
week AS (
  SELECT
    county, sunday, count(*) AS n,
    -- the stamp as the second of its minute: 0 or another
    heaping(CASE WHEN arrived_on_minute THEN 0 ELSE 1 END, 60) AS heap,
    count(*) FILTER (WHERE gap = 0) AS zero,
    count(arrived_before_enroute) AS compared, count(*) FILTER (WHERE arrived_before_enroute) AS reversed,
    count(*) FILTER (WHERE arrived_on_minute OR gap = 0 OR arrived_before_enroute) AS affected
  FROM call
  GROUP BY county, sunday
  -- a week is over when its last day has begun
  HAVING count(*) >= $least AND max(day_no) = sunday
),
same AS (
  SELECT county, sunday, max(n) AS n
  FROM (SELECT county, sunday, gap, count(*) AS n FROM call WHERE gap > 0 GROUP BY county, sunday, gap)
  GROUP BY county, sunday
),
perfect AS (
  SELECT county, sunday, min(tier) AS tier
  FROM (
    SELECT county, sunday, tier FROM call WHERE tier IS NOT NULL
    GROUP BY county, sunday, tier HAVING count(*) > 50 AND bool_and(is_in_time)
  )
  GROUP BY county, sunday
),
sign AS (
  SELECT
    w.*, w.heap['share'] AS on_minute_share, w.heap['z'] AS on_minute_z, coalesce(s.n, 0) AS same, p.tier AS perfect_tier,
    w.heap['z'] >= $z AND w.heap['share'] >= $minute AS is_heaped,
    wilson_interval(w.zero, w.n, 0.99)['lower'] > $zero AS is_zero,
    wilson_interval(coalesce(s.n, 0), w.n, 0.99)['lower'] > $same AS is_same,
    coalesce(wilson_interval(w.reversed, w.compared, 0.99)['lower'] > $reversed, false) AS is_reversed,
    p.tier IS NOT NULL AS is_perfect,
    w.heap['share'] > 0.5 AS is_overwhelming
  FROM week AS w
  LEFT JOIN same AS s ON s.county = w.county AND s.sunday = w.sunday
  LEFT JOIN perfect AS p ON p.county = w.county AND p.sunday = w.sunday
),
counted AS (
  SELECT *, CAST(is_heaped AS BIGINT) + CAST(is_zero AS BIGINT) + CAST(is_same AS BIGINT) + CAST(is_reversed AS BIGINT) + CAST(is_perfect AS BIGINT) AS flags
  FROM sign
)
SELECT
  c.county,
  arrow_cast(arrow_cast(c.sunday, 'Int32'), 'Date32') AS biz_date,
  c.n,
  CAST(c.affected AS DOUBLE) / c.n AS share_affected,
  c.flags,
  c.is_heaped, c.is_zero, c.is_same, c.is_reversed, c.is_perfect, c.is_overwhelming,
  c.on_minute_share,
  round(c.on_minute_z, 1) AS on_minute_z,
  CAST(c.zero AS DOUBLE) / c.n AS zero_share,
  CAST(c.same AS DOUBLE) / c.n AS same_interval_share,
  CAST(c.reversed AS DOUBLE) / nullif(c.compared, 0) AS reversed_share,
  c.perfect_tier,
  CASE WHEN c.is_overwhelming THEN 'orange' WHEN c.flags >= 3 THEN 'yellow' ELSE 'blue' END AS grade,
  coalesce(a.name_zh, c.county) AS place_zh,
  coalesce(a.name_en, c.county) AS place_en,
  CAST(c.n AS VARCHAR) || ' 次到场'
    || CASE WHEN c.is_overwhelming THEN '，过半整分' ELSE '，' || CAST(c.flags AS VARCHAR) || ' 项标志' END || '：整分 '
    || CAST(round(100 * c.on_minute_share, 1) AS VARCHAR) || '%（应为 1.7%）'
    || CASE WHEN c.is_zero THEN '；零秒到场 ' || CAST(c.zero AS VARCHAR) || ' 次' ELSE '' END
    || CASE WHEN c.is_same THEN '；同一时长 ' || CAST(c.same AS VARCHAR) || ' 次' ELSE '' END
    || CASE WHEN c.is_reversed THEN '；到场早于出发 ' || CAST(c.reversed AS VARCHAR) || ' 次' ELSE '' END
    || coalesce('；级别 ' || c.perfect_tier || ' 全部达标', '') AS reason_zh,
  CAST(c.n AS VARCHAR) || ' arrivals, '
    || CASE WHEN c.is_overwhelming THEN 'over half on the whole minute' ELSE CAST(c.flags AS VARCHAR) || ' signs' END || ': '
    || CAST(round(100 * c.on_minute_share, 1) AS VARCHAR) || ' % at second 0 (1.7 % by chance)'
    || CASE WHEN c.is_zero THEN '; ' || CAST(c.zero AS VARCHAR) || ' at the second of the dispatch' ELSE '' END
    || CASE WHEN c.is_same THEN '; ' || CAST(c.same AS VARCHAR) || ' after one and the same interval' ELSE '' END
    || CASE WHEN c.is_reversed THEN '; ' || CAST(c.reversed AS VARCHAR) || ' before the unit left' ELSE '' END
    || coalesce('; all of tier ' || c.perfect_tier || ' in time', '') AS reason_en
FROM counted AS c
LEFT JOIN ref.area AS a ON a.code = c.county
WHERE c.flags >= 2 OR c.is_overwhelming
