-- 数据断流与漂移：某区县某日的警情数据缺失、数量异常、位置缺失突增或类别构成改变。
-- A county whose calls of a day are missing, too few, too many, lost their positions, or are of other classes than before.
-- A day is judged on the day after, when it is complete: a day that has only begun would look low. A day without rows is missing,
-- never zero: it is no baseline, and nothing else is said of it. Holidays are neither judged by their number nor a baseline.
-- @grain county, biz_date, kind
-- @incremental biz_date
-- @lookback 57 days
-- @column feed zh "来源" the feed
-- @column kind zh "种类" missing, low, high, no_position, class_mix
-- @column data_day zh "数据日" the day that is judged, the one before
-- @column observed zh "实际" rows of the day; share of 7 days; null where missing
-- @column expected zh "往常" mean of the same weekdays of 8 weeks; share, or 0 drift, of the 28 days before
-- @column affected zh "受影响行数" rows that are missing, too many, without position, or would have to change class
-- @check unique(county, biz_date, kind)
-- @check accepted(kind, 'missing', 'low', 'high', 'no_position', 'class_mix')
-- @check in_range(affected, 0, 100000000)
WITH grid AS (
  -- every county and group on every day that any county delivered, so that a day without rows is seen
  SELECT c.county, g.category_group, d.day_no, d.is_holiday, d.is_over
  FROM (SELECT DISTINCT county FROM mart.alarm_quality_day) AS c
  CROSS JOIN (SELECT DISTINCT category_group FROM mart.alarm_quality_day) AS g
  CROSS JOIN (
    SELECT
      arrow_cast(q.biz_date, 'Int32') AS day_no, coalesce(k.day_type, 'workday') = 'holiday' AS is_holiday,
      lead(q.biz_date) OVER (ORDER BY q.biz_date) = q.biz_date + INTERVAL '1 day' AS is_over
    FROM (SELECT DISTINCT biz_date FROM mart.alarm_quality_day) AS q
    LEFT JOIN ref.calendar AS k ON k.date = q.biz_date
  ) AS d
),
part AS (
  SELECT g.*, coalesce(q.n, 0) AS n, coalesce(q.mappable, 0) AS mappable, coalesce(q.without_position, 0) AS without_position
  FROM grid AS g
  LEFT JOIN mart.alarm_quality_day AS q
    ON q.county = g.county AND q.category_group = g.category_group AND arrow_cast(q.biz_date, 'Int32') = g.day_no
),
mix AS (
  SELECT *, sum(n) OVER recent AS n7, sum(n) OVER earlier AS n28
  FROM part
  WINDOW recent AS (PARTITION BY county, category_group ORDER BY day_no RANGE BETWEEN 6 PRECEDING AND CURRENT ROW),
    earlier AS (PARTITION BY county, category_group ORDER BY day_no RANGE BETWEEN 34 PRECEDING AND 7 PRECEDING)
),
total AS (
  SELECT *, sum(n7) OVER day AS all7, sum(n28) OVER day AS all28 FROM mix WINDOW day AS (PARTITION BY county, day_no)
),
day AS (
  -- the drift in millionths: sums of whole numbers are the same in every order
  SELECT
    county, day_no, is_holiday, is_over, sum(n) AS n, sum(mappable) AS mappable, sum(without_position) AS without_position, max(all7) AS n7, max(all28) AS n28,
    sum(CAST(round(500000 * abs(CAST(n7 AS DOUBLE) / nullif(all7, 0) - CAST(n28 AS DOUBLE) / nullif(all28, 0))) AS BIGINT)) AS drift
  FROM total
  GROUP BY county, day_no, is_holiday, is_over
),
past AS (
  SELECT
    *,
    count(*) FILTER (WHERE n > 0 AND NOT is_holiday) OVER weekday AS weeks, sum(n) FILTER (WHERE n > 0 AND NOT is_holiday) OVER weekday AS weeks_n,
    count(*) FILTER (WHERE n > 0) OVER before AS delivered,
    sum(mappable) OVER recent AS mappable7, sum(without_position) OVER recent AS without7,
    sum(mappable) OVER earlier AS mappable28, sum(without_position) OVER earlier AS without28
  FROM day
  WINDOW weekday AS (PARTITION BY county, day_no % 7 ORDER BY day_no RANGE BETWEEN 56 PRECEDING AND 7 PRECEDING),
    before AS (PARTITION BY county ORDER BY day_no RANGE BETWEEN 56 PRECEDING AND 1 PRECEDING),
    recent AS (PARTITION BY county ORDER BY day_no RANGE BETWEEN 6 PRECEDING AND CURRENT ROW),
    earlier AS (PARTITION BY county ORDER BY day_no RANGE BETWEEN 34 PRECEDING AND 7 PRECEDING)
),
judged AS (
  -- only days after which the next has begun, and on which half of the counties that usually deliver did
  SELECT
    *, CAST(weeks_n AS DOUBLE) / nullif(weeks, 0) AS mean,
    delivered >= 14 AS is_usual,
    CAST(without7 AS DOUBLE) / nullif(mappable7, 0) AS share7, CAST(without28 AS DOUBLE) / nullif(mappable28, 0) AS share28
  FROM (
    SELECT *, count(*) FILTER (WHERE n > 0) OVER city AS delivering, count(*) FILTER (WHERE delivered >= 14) OVER city AS usual
    FROM past WINDOW city AS (PARTITION BY day_no)
  )
  WHERE is_over AND 2 * delivering >= usual
),
kind AS (
  SELECT * FROM (VALUES
    ('missing', 'orange', '无数据', 'no rows'), ('low', 'yellow', '数量偏低', 'too few rows'), ('high', 'blue', '数量偏高', 'more rows than usual'),
    ('no_position', 'yellow', '缺位置比例突增', 'rows without a position jumped'), ('class_mix', 'blue', '类别构成改变', 'another class mix')
  ) AS k (kind, grade, zh, en)
),
finding AS (
  -- each kind is asked of each day, in one pass
  SELECT
    j.county, j.day_no, k.*,
    CASE k.kind WHEN 'low' THEN n WHEN 'high' THEN n WHEN 'no_position' THEN share7 WHEN 'class_mix' THEN drift / 1000000.0 END AS observed,
    CASE k.kind WHEN 'no_position' THEN share28 WHEN 'class_mix' THEN 0 ELSE mean END AS expected,
    CASE k.kind WHEN 'missing' THEN coalesce(mean, 0) WHEN 'no_position' THEN without7 - share28 * mappable7
      WHEN 'class_mix' THEN n7 * drift / 1000000.0 ELSE abs(n - mean) END AS affected
  FROM judged AS j
  CROSS JOIN kind AS k
  WHERE CASE k.kind
    WHEN 'missing' THEN n = 0 AND is_usual
    -- the day against eight weeks of its weekday, both as Poisson counts
    WHEN 'low' THEN n > 0 AND weeks >= 4 AND NOT is_holiday
      AND poisson_interval(n, $level)['upper'] < poisson_interval(weeks_n, $level)['lower'] / weeks
    WHEN 'high' THEN n > 0 AND weeks >= 4 AND NOT is_holiday
      AND poisson_interval(n, $level)['lower'] > poisson_interval(weeks_n, $level)['upper'] / weeks
    WHEN 'no_position' THEN n > 0 AND mappable7 >= 30 AND mappable28 >= 30 AND share7 - share28 > $jump
      AND wilson_interval(without7, mappable7, 0.99)['lower'] > wilson_interval(without28, mappable28, 0.99)['upper']
    ELSE n > 0 AND n7 >= $least AND n28 >= $least AND drift > $drift * 1000000 END
)
SELECT
  f.county, 'alarm' AS feed, f.kind,
  arrow_cast(arrow_cast(f.day_no + 1, 'Int32'), 'Date32') AS biz_date, arrow_cast(arrow_cast(f.day_no, 'Int32'), 'Date32') AS data_day,
  round(f.observed, 3) AS observed, round(f.expected, 3) AS expected, CAST(round(f.affected) AS BIGINT) AS affected,
  f.grade, coalesce(a.name_zh, f.county) AS place_zh, coalesce(a.name_en, f.county) AS place_en,
  CAST(arrow_cast(arrow_cast(f.day_no, 'Int32'), 'Date32') AS VARCHAR) || ' 警情' || f.zh
    || coalesce('：' || CAST(round(f.observed, 2) AS VARCHAR), '') || coalesce('，往常 ' || CAST(round(f.expected, 2) AS VARCHAR), '') AS reason_zh,
  'calls of ' || CAST(arrow_cast(arrow_cast(f.day_no, 'Int32'), 'Date32') AS VARCHAR) || ': ' || f.en
    || coalesce(', ' || CAST(round(f.observed, 2) AS VARCHAR), '') || coalesce(', usually ' || CAST(round(f.expected, 2) AS VARCHAR), '') AS reason_en
FROM finding AS f
LEFT JOIN ref.area AS a ON a.code = f.county
