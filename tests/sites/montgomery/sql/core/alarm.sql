-- 警情：每次呼叫一行。 One row per call for service.
-- @grain alarm_id
-- @incremental biz_date
-- @check not_null(alarm_id, reported_at, biz_date, county)
-- @check unique(alarm_id)
SELECT
  -- the file has no numbers: a row is its content and how many equal rows came before it
  a.row_key AS alarm_id,
  CAST(NULL AS BIGINT) AS main_alarm_id,
  a.reported_at,
  a.known_at,
  a.biz_date,
  a.hour_local,
  a.biz_month,
  CAST(NULL AS VARCHAR) AS report_mode,
  a.origin,
  a.category AS category_call,
  a.category,
  coalesce(c.category_group, 'other') AS category_group,
  CAST(NULL AS BIGINT) AS priority,
  coalesce(c.is_effective, true) AS is_effective,
  coalesce(c.is_mappable, false) AS is_mappable,
  coalesce(c.is_discretionary, true) AS is_discretionary,
  a.county,
  a.area,
  a.lon,
  a.lat,
  a.cell,
  CAST(NULL AS VARCHAR) AS place_kind,
  a.source_batch,
  a.source_line
FROM source.alarm AS a
LEFT JOIN ref.category AS c ON c.code = a.category
