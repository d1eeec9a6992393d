-- 近重复学习：入室盗窃在多近、多快之内更易再次发生，由本市过去两年学得；不显著则整项停用。
-- How near and how soon burglaries follow each other beyond chance, learned from the city's own last two years (Knox test).
-- A band holds where chance makes it hardly, the pairs are clearly more than expected, and there are enough of them.
-- @grain space_to, time_to
-- @column observed zh "成对数" pairs of incidents within the band
-- @column expected zh "期望成对数" pairs if place and time had nothing to do with each other
-- @column ratio zh "倍数" observed over expected
-- @column holds zh "成立" whether the band may be acted on
-- @check unique(space_to, time_to)
WITH span AS (
  SELECT max(biz_date) AS last_day, avg(lat) AS lat FROM mart.citizen_alarm WHERE lat IS NOT NULL
),
incident AS (
  -- metres on a plane that is true in the middle of the city; one call a place and day, since second callers are no repeat
  SELECT
    a.cell,
    arrow_cast(a.biz_date, 'Int32') AS day_no,
    min(a.lon * 111320 * cos(radians(s.lat))) AS x,
    min(a.lat * 110950) AS y
  FROM mart.citizen_alarm AS a
  CROSS JOIN span AS s
  WHERE a.category = $category AND a.cell IS NOT NULL AND a.biz_date > s.last_day - INTERVAL '730 days'
  GROUP BY a.cell, a.biz_date
),
band AS (
  SELECT unnest(knox(x, y, day_no, {'space': [0, 200, 400, 800], 'time': [0, 7, 14, 28], 'reps': 199, 'seed': 1})) AS k
  FROM incident
)
SELECT
  k['space_from'] AS space_from,
  k['space_to'] AS space_to,
  k['time_from'] AS time_from,
  k['time_to'] AS time_to,
  k['observed'] AS observed,
  round(k['expected'], 2) AS expected,
  round(k['ratio'], 3) AS ratio,
  k['p'] AS p,
  coalesce(k['p'] <= $p AND k['ratio'] >= $ratio AND k['observed'] >= $pairs, false) AS holds
FROM band
