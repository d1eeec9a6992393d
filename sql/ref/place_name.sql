-- 地名：每个道路、地标一行。 One row per road or landmark.
-- @grain place_no
-- @check unique(place_no)
SELECT place_no, kind, county, area, name_zh, name_en, lon, lat
FROM source.place_name
QUALIFY ingested_at = max(ingested_at) OVER (PARTITION BY county)
