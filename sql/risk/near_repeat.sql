-- 近重复窗口：入室盗窃发生后，邻近单元在若干天内更易再次发生；到期自动消失，全市不显著时一行也没有。
-- Cells near a recent burglary, until the day on which the raised risk is over; none where the city's own past shows no repeats.
-- @grain cell
-- @column nearest_metres zh "距最近一起" metres from the middle of the cell to the nearest such incident
-- @column incidents zh "近期起数" incidents whose window reaches the cell
-- @column ratio zh "倍数" how many times more often pairs this near and soon occur than by chance
-- @column expires_on zh "到期日" the last day of the band in which the cell lies today
-- @check unique(cell)
-- @check rows(0, 5000)
WITH span AS (
  SELECT max(biz_date) AS last_day FROM mart.citizen_alarm
),
reach AS (
  SELECT space_from, space_to, time_from, time_to, ratio FROM risk.near_repeat_band WHERE holds
),
longest AS (
  SELECT max(time_to) AS days, max(space_to) AS metres FROM reach
),
recent AS (
  SELECT a.alarm_id, a.cell, a.lon, a.lat, a.biz_date, s.last_day, l.metres
  FROM mart.citizen_alarm AS a
  CROSS JOIN span AS s
  CROSS JOIN longest AS l
  WHERE a.category = $category AND a.cell IS NOT NULL
    AND arrow_cast(a.biz_date, 'Int32') > arrow_cast(s.last_day, 'Int32') - l.days
),
near AS (
  -- middles of neighbours are 300 metres apart or more, and an incident lies up to 200 from that of its own cell
  SELECT r.*, unnest(h3_ring(r.cell, CAST(ceil((r.metres + 200) / 300.0) AS BIGINT))) AS near_cell FROM recent AS r
),
seen AS (
  -- the cell today, as seen from the incident
  SELECT
    n.near_cell AS cell,
    n.alarm_id,
    distance_metres(n.lon, n.lat, h3_centre(n.near_cell)['lon'], h3_centre(n.near_cell)['lat']) AS metres,
    arrow_cast(n.last_day, 'Int32') - arrow_cast(n.biz_date, 'Int32') AS age,
    arrow_cast(n.biz_date, 'Int32') AS day_no,
    n.last_day
  FROM near AS n
),
held AS (
  SELECT w.cell, w.alarm_id, w.metres, w.last_day, b.ratio, w.day_no + b.time_to - 1 AS until_no
  FROM seen AS w
  JOIN reach AS b ON w.metres >= b.space_from AND w.metres < b.space_to AND w.age >= b.time_from AND w.age < b.time_to
)
SELECT
  h.cell,
  h3_text(h.cell) AS cell_text,
  p.county,
  p.area,
  p.label_zh,
  p.label_en,
  p.lon,
  p.lat,
  count(DISTINCT h.alarm_id) AS incidents,
  round(min(h.metres)) AS nearest_metres,
  max(h.ratio) AS ratio,
  arrow_cast(arrow_cast(max(h.until_no), 'Int32'), 'Date32') AS expires_on,
  min(h.last_day) AS last_day
FROM held AS h
JOIN mart.cell_place AS p ON p.cell = h.cell
GROUP BY h.cell, p.county, p.area, p.label_zh, p.label_en, p.lon, p.lat
