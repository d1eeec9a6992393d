-- 本区县预警：本区县街道警情异常升高。 Surges in the streets of a county, from its own calls.
SELECT county, area, category, biz_date, observed, expected, upper, weeks_used, warning_id, grade
FROM warning.surge
