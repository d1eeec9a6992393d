-- 区县数据健康：本区县数据的时效、数量与质量。 How far behind, how many and how good a county's own data are.
SELECT county, last_day, days_behind, state, observed, expected, volume, mix_drift, without_position_share, on_minute_share
FROM indicator.data_health
