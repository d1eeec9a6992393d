-- 快反布局：紧急警情中 1、3、5 分钟可达的占比；今日布点、跨县就近、增设若干点三种情形，分县与疏密列出。
-- The share of urgent calls of a year that a crew reaches in 1, 3 and 5 minutes, by county and by how densely people live: from the posts
-- of the own county, from the nearest of any, and with some posts more where they serve most calls. Minutes are distance, times a detour,
-- over a speed for dense and for other places, since no travel times are on file. A study: nothing is moved by it.
-- @grain scenario, part, minutes
-- @column scenario zh "情形" today, pooled (any county) or plus (with new posts)
-- @column part zh "范围" all, dense, sparse, or a county
-- @column share zh "可达占比" of urgent calls
-- @column worst zh "最低区县" the county with the lowest share, in the row of all
-- @column gap zh "城乡差" share of dense less share of sparse places, in the row of all
-- @check unique(scenario, part, minutes)
-- @check in_range(share, 0, 1)
WITH span AS (
  SELECT max(biz_date) AS last_day FROM mart.citizen_alarm
),
demand AS (
  SELECT p.cell, p.county, p.lon, p.lat, count(*) AS calls
  FROM mart.citizen_alarm AS a
  CROSS JOIN span AS s
  JOIN mart.cell_place AS p ON p.cell = a.cell
  WHERE a.priority <= $priority AND a.biz_date > s.last_day - INTERVAL '365 days'
  GROUP BY p.cell, p.county, p.lon, p.lat
),
lived AS (
  SELECT n.cell, sum(g.residents) AS residents
  FROM (SELECT cell, unnest(h3_ring(cell, 1)) AS near FROM demand) AS n
  JOIN core.population_grid AS g ON g.cell = n.near
  GROUP BY n.cell
),
point AS (
  -- dense is above the mean of the city's cells, so that it means the same in a small city
  SELECT d.*, coalesce(l.residents, 0) > m.mean AS is_dense, CASE WHEN coalesce(l.residents, 0) > m.mean THEN $dense_speed ELSE $speed END * 1000 / 60.0 / $detour AS metres_a_minute
  FROM demand AS d
  LEFT JOIN lived AS l ON l.cell = d.cell
  CROSS JOIN (SELECT CAST(sum(residents) AS DOUBLE) / count(*) AS mean FROM lived) AS m
),
nearest AS (
  SELECT p.cell, p.county, p.calls, p.is_dense, p.lon, p.lat, p.metres_a_minute,
    min(distance_metres(s.lon, s.lat, p.lon, p.lat) / p.metres_a_minute) FILTER (WHERE s.county = p.county) AS today,
    min(distance_metres(s.lon, s.lat, p.lon, p.lat) / p.metres_a_minute) AS pooled
  FROM point AS p
  CROSS JOIN (SELECT county, lon, lat FROM ref.site WHERE crews > 0) AS s
  GROUP BY p.cell, p.county, p.calls, p.is_dense, p.lon, p.lat, p.metres_a_minute
),
candidate AS (
  SELECT h3_parent(cell, 8) AS site, h3_centre(h3_parent(cell, 8))['lon'] AS lon, h3_centre(h3_parent(cell, 8))['lat'] AS lat
  FROM nearest
  WHERE coalesce(today, 1000) > 5
  GROUP BY h3_parent(cell, 8)
  -- with more the search takes long, and the best five are not among the last
  ORDER BY sum(calls) DESC, site
  LIMIT 300
),
pair AS (
  SELECT n.cell, n.calls, c.site, distance_metres(c.lon, c.lat, n.lon, n.lat) / n.metres_a_minute AS minutes
  FROM (SELECT *, unnest(h3_ring(h3_parent(cell, 8), 5)) AS near FROM nearest WHERE coalesce(today, 1000) > 5) AS n
  JOIN candidate AS c ON c.site = n.near
),
chosen AS (
  SELECT c['site'] AS site
  FROM (SELECT unnest(mclp(cell, calls, site, minutes, {'p': $posts, 'within': 5.0})) AS c FROM pair WHERE minutes <= 5)
),
served AS (
  SELECT p.cell, min(p.minutes) AS minutes FROM pair AS p JOIN chosen AS c ON c.site = p.site GROUP BY p.cell
),
timed AS (
  SELECT n.cell, n.county, n.calls, n.is_dense, t['scenario'] AS scenario, t['took'] AS took
  FROM (
    SELECT n.*, unnest(make_array(
      named_struct('scenario', 'today', 'took', n.today), named_struct('scenario', 'pooled', 'took', n.pooled),
      named_struct('scenario', 'plus', 'took', least(n.today, s.minutes)))) AS t
    FROM nearest AS n
    LEFT JOIN served AS s ON s.cell = n.cell
  ) AS n
),
counted AS (
  SELECT scenario, part, m AS minutes, sum(calls) AS n, coalesce(sum(calls) FILTER (WHERE took <= m), 0) AS reached
  FROM (SELECT *, unnest(make_array('all', county, CASE WHEN is_dense THEN 'dense' ELSE 'sparse' END)) AS part FROM timed) AS t
  CROSS JOIN (VALUES (1), (3), (5)) AS v (m)
  GROUP BY scenario, part, m
),
share AS (
  SELECT *, CAST(reached AS DOUBLE) / n AS share FROM counted
),
beside AS (
  SELECT scenario, minutes, min(named_struct('share', share, 'county', part)) FILTER (WHERE part NOT IN ('all', 'dense', 'sparse')) AS worst,
    max(share) FILTER (WHERE part = 'dense') - max(share) FILTER (WHERE part = 'sparse') AS gap
  FROM share
  GROUP BY scenario, minutes
)
SELECT
  s.scenario,
  s.part,
  coalesce(a.name_zh, s.part) AS part_zh,
  coalesce(a.name_en, s.part) AS part_en,
  s.minutes,
  s.n,
  s.reached,
  round(s.share, 4) AS share,
  round(wilson_interval(s.reached, s.n, 0.95)['lower'], 4) AS lower,
  round(wilson_interval(s.reached, s.n, 0.95)['upper'], 4) AS upper,
  CASE WHEN s.part = 'all' THEN b.worst['county'] END AS worst,
  CASE WHEN s.part = 'all' THEN round(b.gap, 4) END AS gap
FROM share AS s
JOIN beside AS b ON b.scenario = s.scenario AND b.minutes = s.minutes
LEFT JOIN ref.area AS a ON a.code = s.part
