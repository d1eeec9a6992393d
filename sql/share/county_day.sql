-- 区县日警情：每区县、类别组、日的警情数。 Calls of each county by class group and day.
SELECT county, category_group, biz_date, count(*) AS calls
FROM core.alarm
WHERE is_effective AND county IS NOT NULL
GROUP BY county, category_group, biz_date
