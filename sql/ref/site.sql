-- 警力点位：派出所、警务站、检查站、医院，每处一行。 Where crews stand and where they bring people to, a row each.
-- @grain site_no
-- @check not_null(kind, county, lon, lat, crews)
-- @check unique(site_no)
SELECT site_no, kind, county, area, org, name_zh, name_en, lon, lat, crews
FROM source.site
QUALIFY ingested_at = max(ingested_at) OVER (PARTITION BY county)
