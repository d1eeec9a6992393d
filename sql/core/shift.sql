-- 勤务排班：每所每班一行。 One row per station and shift: units on duty.
-- @grain org, starts_at
-- @incremental biz_date
-- @check not_null(org, county, shift, starts_at, hours, units)
-- @check unique(org, starts_at)
SELECT org, county, shift, starts_at, hours, units, known_at, biz_date
FROM source.shift
