-- 本区县预警：每条预警的每一步。 The life of the warnings of a county, a line for each step.
SELECT county, event_id, warning_id, rule, number, act, biz_date, grade, level, pool, place_zh, place_en, reason_zh, reason_en, score
FROM ops.warning
WHERE county IS NOT NULL
