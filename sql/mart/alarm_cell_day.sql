-- 单元日警情：每单元每类别组每日一行。 One row per cell, category group and day with at least one incident.
-- @grain cell, category_group, biz_date
-- @incremental biz_date
-- @check unique(cell, category_group, biz_date)
-- @check in_range(alarms, 1, 1000000)
SELECT cell, category_group, biz_date, min(county) AS county, min(area) AS area, count(*) AS alarms
FROM mart.citizen_alarm
WHERE cell IS NOT NULL
GROUP BY cell, category_group, biz_date
