-- 新发聚集：最近几日内某处某类警情的聚集，大于所有地点与时段可能偶然出现的程度。
-- Places where calls of a group came together in the last days beyond what all places and windows bring by chance.
-- The newest complete day is judged: one after which the next has begun in every county. Calls on one matter within half an hour and a
-- cell count once, so that twenty callers about one accident are no cluster.
-- @grain category_group, centre
-- @column observed zh "起数" incidents in the window and its places
-- @column expected zh "期望" incidents expected there and then
-- @column recurrence_days zh "重现期（天）" once in so many days one as good comes by chance
-- @check unique(category_group, centre)
-- @check rows(0, 100)
WITH span AS (
  -- the last day that all counties have whole, of those that delivered within the week; a few rows make no day
  SELECT CAST(min(last) - INTERVAL '1 day' AS DATE) AS day
  FROM (
    SELECT last, max(last) OVER () AS newest
    FROM (
      SELECT county, max(biz_date) AS last
      FROM (SELECT county, biz_date FROM mart.citizen_alarm GROUP BY county, biz_date HAVING count(*) >= 3)
      GROUP BY county
    )
  )
  WHERE last > newest - INTERVAL '7 days'
),
incident AS (
  SELECT DISTINCT
    a.category_group,
    h3_parent(a.cell, 8) AS place,
    a.cell,
    a.category,
    a.biz_date,
    CAST(arrow_cast(a.reported_at, 'Int64') / 1800000000 AS BIGINT) AS half_hour
  FROM mart.citizen_alarm AS a
  CROSS JOIN span AS s
  WHERE a.cell IS NOT NULL
    AND a.biz_date <= s.day AND a.biz_date > s.day - INTERVAL '84 days'
    AND a.category_group IN ('criminal', 'public_order', 'traffic', 'urgent_help')
    AND a.category <> $never
),
busy AS (
  SELECT category_group, place, biz_date, count(*) AS n
  FROM incident
  GROUP BY category_group, place, biz_date
),
spot AS (
  -- the words for a place are those of its cell with most incidents
  SELECT category_group, place, first_value(cell ORDER BY n DESC, cell) AS cell
  FROM (SELECT category_group, place, cell, count(*) AS n FROM incident GROUP BY category_group, place, cell)
  GROUP BY category_group, place
),
place_day AS (
  SELECT category_group, place, biz_date, n FROM busy
  UNION ALL
  -- the day of the analysis is the newest that has a row, be it without events
  SELECT c.category_group, min(c.place), s.day, 0
  FROM busy AS c
  CROSS JOIN span AS s
  GROUP BY c.category_group, s.day
  HAVING count(*) FILTER (WHERE c.biz_date = s.day) = 0
),
scanned AS (
  SELECT
    category_group,
    unnest(scan_permutation(
      place, h3_centre(place)['lon'], h3_centre(place)['lat'], biz_date, n,
      {'metric': 'sphere', 'max_days': 7, 'max_share': 0.1, 'max_radius': $max_radius, 'reps': 999, 'seed': $seed, 'clusters': 5}
    )) AS c
  FROM place_day
  GROUP BY category_group
),
cluster AS (
  SELECT
    category_group,
    c['centre'] AS centre,
    c['members'] AS members,
    arrow_cast(arrow_cast(c['first_day'], 'Int32'), 'Date32') AS first_day,
    arrow_cast(arrow_cast(c['last_day'], 'Int32'), 'Date32') AS biz_date,
    c['observed'] AS observed,
    c['expected'] AS expected,
    c['llr'] AS llr,
    c['p'] AS p,
    -- what chance brings less than once in a million days, nobody has to tell apart
    least(c['recurrence_days'], 1000000.0) AS recurrence_days
  FROM scanned
  WHERE c['recurrence_days'] >= $recurrence AND c['observed'] >= $least
)
SELECT
  k.category_group,
  k.centre,
  h3_text(k.centre) AS centre_text,
  k.members,
  p.county,
  p.area,
  k.first_day,
  k.biz_date,
  k.observed,
  round(k.expected, 2) AS expected,
  round(k.llr, 3) AS llr,
  k.p,
  round(k.recurrence_days, 1) AS recurrence_days,
  CASE WHEN k.recurrence_days >= $red THEN 'red' WHEN k.recurrence_days >= $orange THEN 'orange'
       WHEN k.recurrence_days >= $yellow THEN 'yellow' ELSE 'blue' END AS grade,
  p.label_zh AS place_zh,
  p.label_en AS place_en,
  CAST(k.first_day AS VARCHAR) || ' 起 ' || CAST(k.observed AS VARCHAR) || ' 起，期望 ' || CAST(round(k.expected, 2) AS VARCHAR)
    || ' 起，偶然出现约 ' || CAST(CAST(k.recurrence_days AS BIGINT) AS VARCHAR) || ' 天一次' AS reason_zh,
  CAST(k.observed AS VARCHAR) || ' incidents since ' || CAST(k.first_day AS VARCHAR) || ', ' || CAST(round(k.expected, 2) AS VARCHAR)
    || ' expected; by chance about once in ' || CAST(CAST(k.recurrence_days AS BIGINT) AS VARCHAR) || ' days' AS reason_en
FROM cluster AS k
JOIN spot AS s ON s.category_group = k.category_group AND s.place = k.centre
JOIN mart.cell_place AS p ON p.cell = s.cell
