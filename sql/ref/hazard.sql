-- 危险源：燃气、化工、变电、水库等场所，每处一行，含有效期。 Dangerous sites, a row each, with the day until which the entry holds.
-- @grain hazard_no
-- @check not_null(kind, county, lon, lat, recorded_on)
-- @check unique(hazard_no)
SELECT hazard_no, kind, county, area, name_zh, name_en, lon, lat, recorded_on, holds_until
FROM source.hazard
QUALIFY ingested_at = max(ingested_at) OVER (PARTITION BY county)
