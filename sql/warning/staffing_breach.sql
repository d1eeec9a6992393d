-- 警力配比不足：派出所警力占区县局、社区民警占派出所，连续两个月低于四成。
-- The two shares of forty percent, missed in two months running: officers of its stations in a county, community officers in a station.
-- Told for the second month and every one that follows. Stations with fewer than ten officers are counted together for their
-- county and never alone. Counts of officers only; the row is about a unit.
-- @grain org, ratio, biz_date
-- @incremental biz_date
-- @lookback 31 days
-- @column ratio zh "配比" station_share: of the county's officers; community_share: of the station's
-- @column observed zh "占比" the share
-- @column shortfall zh "缺口人数" officers that the share lacks
-- @check unique(org, ratio, biz_date)
-- @check accepted(ratio, 'station_share', 'community_share')
-- @check in_range(observed, 0, 1)
WITH unit AS (
  SELECT county, biz_date, level, officers, community_officers,
    CASE WHEN level = 'station' AND officers >= $least THEN org ELSE county END AS org
  FROM core.staffing
),
shares AS (
  SELECT county, county AS org, biz_date, 'station_share' AS ratio,
    sum(officers) FILTER (WHERE level = 'station') AS part, sum(officers) FILTER (WHERE level = 'county') AS whole
  FROM unit
  GROUP BY county, biz_date
  UNION ALL
  SELECT county, org, biz_date, 'community_share', sum(community_officers), sum(officers)
  FROM unit
  WHERE level = 'station'
  GROUP BY county, org, biz_date
),
month AS (
  SELECT *, CAST(date_part('year', biz_date) * 12 + date_part('month', biz_date) AS BIGINT) AS month_no
  FROM shares
  -- a county that sent no officers of one level has no share, and small stations together may be few as well
  WHERE part IS NOT NULL AND whole >= $least
),
missed AS (
  SELECT n.*, CAST(n.part AS DOUBLE) / n.whole AS observed, CAST(b.part AS DOUBLE) / b.whole AS before
  FROM month AS n
  JOIN month AS b ON b.org = n.org AND b.ratio = n.ratio AND b.month_no = n.month_no - 1
  WHERE n.part < $target * n.whole AND b.part < $target * b.whole
)
SELECT
  m.county,
  m.org,
  m.ratio,
  m.biz_date,
  m.whole AS officers,
  round(m.observed, 4) AS observed,
  round(m.before, 4) AS before,
  CAST(ceil($target * m.whole - m.part) AS BIGINT) AS shortfall,
  CASE WHEN m.observed < $orange THEN 'orange' ELSE 'yellow' END AS grade,
  coalesce(s.name_zh, a.name_zh, m.org) AS place_zh,
  coalesce(s.name_en, a.name_en, m.org) AS place_en,
  CASE m.ratio WHEN 'station_share' THEN '派出所警力占区县局 ' ELSE '社区民警占派出所 ' END
    || CAST(round(100 * m.observed, 1) AS VARCHAR) || '%，上月 ' || CAST(round(100 * m.before, 1) AS VARCHAR)
    || '%，目标 ' || CAST(round(100 * $target, 1) AS VARCHAR) || '%' AS reason_zh,
  CASE m.ratio WHEN 'station_share' THEN 'officers at stations ' ELSE 'community officers at the station ' END
    || CAST(round(100 * m.observed, 1) AS VARCHAR) || ' %, the month before ' || CAST(round(100 * m.before, 1) AS VARCHAR)
    || ' %, wanted ' || CAST(round(100 * $target, 1) AS VARCHAR) || ' %' AS reason_en
FROM missed AS m
LEFT JOIN ref.area AS a ON a.code = m.org
LEFT JOIN (SELECT org, min(name_zh) AS name_zh, min(name_en) AS name_en FROM ref.site WHERE kind = 'station' GROUP BY org) AS s ON s.org = m.org
