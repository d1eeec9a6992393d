-- 警情异常升高：某街道某类别一日警情明显高于过去 15 周同一星期几。
-- A street and category whose incidents of a day stand clearly above the same weekday of the 15 weeks before.
-- Holidays are neither judged nor used as a baseline; days on which the county delivered nothing are not zeros.
-- Where stations were merged or codes changed, days before that are no baseline of days after it.
-- It needs 5 incidents, and the lower limit of the day's count above the upper limit of the baseline mean.
-- @grain county, area, category, biz_date
-- @incremental biz_date
-- @lookback 105 days
-- @column observed zh "当日起数" incidents of the day
-- @column expected zh "基线均值" mean of the baseline days
-- @column upper zh "基线上限" upper 95 % limit of the baseline mean, exact Poisson
-- @column ratio zh "倍数" lower limit of the day's count over the upper limit of the baseline
-- @check unique(county, area, category, biz_date)
-- @check in_range(observed, 5, 1000000)
-- @check in_range(weeks_used, 8, 15)
WITH day AS (
  SELECT county, area, category, arrow_cast(biz_date, 'Int32') AS day_no, count(*) AS n
  FROM mart.citizen_alarm
  WHERE area IS NOT NULL
  GROUP BY county, area, category, biz_date
),
usable AS (
  SELECT f.county, f.day_no
  FROM (SELECT DISTINCT county, biz_date, arrow_cast(biz_date, 'Int32') AS day_no FROM mart.citizen_alarm) AS f
  LEFT JOIN ref.calendar AS k ON k.date = f.biz_date
  WHERE coalesce(k.day_type, 'workday') <> 'holiday'
),
candidate AS (
  SELECT d.county, d.area, d.category, d.day_no, d.n AS observed
  FROM day AS d
  JOIN usable AS u ON u.county = d.county AND u.day_no = d.day_no
  WHERE d.n >= 5
),
past AS (
  SELECT county, area, category, day_no, observed, unnest(range(1, 16)) AS weeks_back
  FROM candidate
),
broken AS (
  SELECT kind, county, unnest(make_array(code_from, code_into)) AS code, arrow_cast(first_day, 'Int32') AS break_no FROM ref.change_log
),
baseline AS (
  SELECT
    p.county,
    p.area,
    p.category,
    p.day_no,
    p.observed,
    count(*) AS weeks_used,
    coalesce(sum(d.n), 0) AS incidents
  FROM (SELECT *, day_no - 7 * weeks_back AS past_no FROM past) AS p
  JOIN usable AS u ON u.county = p.county AND u.day_no = p.past_no
  LEFT JOIN day AS d
    ON d.county = p.county AND d.area = p.area AND d.category = p.category AND d.day_no = p.past_no
  LEFT JOIN broken AS b
    ON b.county = p.county AND b.code = CASE b.kind WHEN 'area' THEN p.area ELSE p.category END AND p.past_no < b.break_no AND b.break_no <= p.day_no
  WHERE b.code IS NULL
  GROUP BY p.county, p.area, p.category, p.day_no, p.observed
),
judged AS (
  SELECT
    *,
    CAST(incidents AS DOUBLE) / weeks_used AS expected,
    poisson_interval(incidents, 0.95)['upper'] / weeks_used AS upper,
    poisson_interval(observed, $level)['lower'] AS observed_lower
  FROM baseline
  WHERE weeks_used >= 8
),
ranked AS (
  -- without any call in the baseline its upper limit is still above 0
  SELECT *, observed_lower / upper AS ratio FROM judged
)
SELECT
  j.county,
  j.area,
  j.category,
  coalesce(c.name_zh, j.category) AS category_zh,
  coalesce(c.name_en, j.category) AS category_en,
  arrow_cast(arrow_cast(j.day_no, 'Int32'), 'Date32') AS biz_date,
  j.observed,
  round(j.expected, 2) AS expected,
  round(j.upper, 2) AS upper,
  round(j.observed_lower, 2) AS observed_lower,
  round(j.ratio, 2) AS ratio,
  j.weeks_used,
  CASE WHEN j.ratio > $red THEN 'red' WHEN j.ratio > $orange THEN 'orange' WHEN j.ratio > $yellow THEN 'yellow' ELSE 'blue' END AS grade,
  coalesce(a.name_zh, j.area) AS place_zh,
  coalesce(a.name_en, j.area) AS place_en,
  coalesce(a.name_zh, j.area) || ' ' || coalesce(c.name_zh, j.category) || ' ' || CAST(j.observed AS VARCHAR) || ' 起，过去 ' || CAST(j.weeks_used AS VARCHAR)
    || ' 个同星期日均 ' || CAST(round(j.expected, 2) AS VARCHAR) || ' 起，基线上限 ' || CAST(round(j.upper, 2) AS VARCHAR) || ' 起' AS reason_zh,
  coalesce(a.name_en, j.area) || ': ' || CAST(j.observed AS VARCHAR) || ' × ' || coalesce(c.name_en, j.category) || '; mean of ' || CAST(j.weeks_used AS VARCHAR)
    || ' same weekdays ' || CAST(round(j.expected, 2) AS VARCHAR) || ', upper limit ' || CAST(round(j.upper, 2) AS VARCHAR) AS reason_en
FROM ranked AS j
LEFT JOIN ref.category AS c ON c.code = j.category
LEFT JOIN ref.area AS a ON a.code = j.area
WHERE j.ratio > 1
