-- 警情：每条接警单一行，类别以终审反馈为准。 One row per call record; the class is that of the final feedback.
-- @grain alarm_id
-- @incremental biz_date
-- @follows source.feedback on alarm_id
-- @column alarm_id zh "警情" key of the call record
-- @column category zh "警情类别" final class, else the class at call-taking
-- @check not_null(alarm_id, reported_at, biz_date, county)
-- @check unique(alarm_id)
-- @check accepted(origin, 'citizen', 'police', 'sensor', 'other_agency', 'unknown')
WITH final AS (
  SELECT alarm_id, max(category_final) AS category_final
  FROM source.feedback
  -- of the calls at hand: one day of calls does not gather every feedback there is
  WHERE is_final AND category_final IS NOT NULL AND alarm_id IN (SELECT alarm_id FROM source.alarm)
  GROUP BY alarm_id
)
SELECT
  a.alarm_id,
  a.main_alarm_id,
  a.reported_at,
  a.known_at,
  a.biz_date,
  a.hour_local,
  a.biz_month,
  a.report_mode,
  a.origin,
  a.category AS category_call,
  coalesce(f.category_final, a.category) AS category,
  coalesce(c.category_group, 'other') AS category_group,
  a.priority,
  -- a code that left the list keeps its calls, and they are not mapped
  coalesce(c.is_effective, true) AS is_effective,
  coalesce(c.is_mappable, false) AS is_mappable,
  coalesce(c.is_discretionary, true) AS is_discretionary,
  a.county,
  a.area,
  -- a call whose final class may not be mapped loses its position here as well
  CASE WHEN coalesce(c.is_mappable, false) THEN a.lon END AS lon,
  CASE WHEN coalesce(c.is_mappable, false) THEN a.lat END AS lat,
  CASE WHEN coalesce(c.is_mappable, false) THEN a.cell END AS cell,
  a.place_kind,
  a.source_batch,
  a.source_line
FROM source.alarm AS a
LEFT JOIN final AS f ON f.alarm_id = a.alarm_id
LEFT JOIN ref.category AS c ON c.code = coalesce(f.category_final, a.category)
