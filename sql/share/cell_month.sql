-- 单元四周警情：每区县、粗单元（8 级）、类别组、四周的警情数，只含可上图的群众报警。
-- Calls of each coarse cell (resolution 8) by class group in whole spans of four weeks, of those that may be mapped.
WITH call AS (
  SELECT
    county,
    h3_cell(h3_centre(cell)['lon'], h3_centre(cell)['lat'], 8) AS cell,
    category_group,
    -- spans of four weeks, counted from a Monday
    4 + (arrow_cast(biz_date, 'Int32') - 4) / 28 * 28 AS first_day,
    arrow_cast(biz_date, 'Int32') AS day_no
  FROM mart.citizen_alarm
  WHERE cell IS NOT NULL AND county IS NOT NULL
)
SELECT county, cell, category_group, arrow_cast(arrow_cast(first_day, 'Int32'), 'Date32') AS first_day, count(*) AS calls
FROM call
WHERE first_day + 27 <= (SELECT max(day_no) FROM call)
GROUP BY county, cell, category_group, first_day
