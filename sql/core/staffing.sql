-- 警力编成：每单位每月一行，只有数字。 One row per unit and month; numbers only.
-- @grain org, counted_at
-- @incremental biz_date
-- @check not_null(org, level, county, officers, community_officers)
-- @check unique(org, counted_at)
-- @check accepted(level, 'county', 'station')
SELECT org, level, county, counted_at, officers, community_officers, front_line_officers, auxiliaries, mode, known_at, biz_date
FROM source.staffing
