-- 警情类别：每个代码一行。 One row per category code.
-- @grain code
-- @check unique(code)
-- @check not_null(category_group, is_effective, is_mappable, is_discretionary)
SELECT code, category_group, name_zh, name_en, is_effective, is_mappable, is_discretionary
FROM source.category
QUALIFY ingested_at = max(ingested_at) OVER ()
