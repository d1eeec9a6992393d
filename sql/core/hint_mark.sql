-- 提示标记：出警人员对提示的评价，每次一行，只增不改。 One row per mark on a place hint; marks are only ever added.
-- @grain mark_id
-- @column county zh "区县" county of the place; all of a card
-- @column mark zh "标记" wrong or useful
-- @check not_null(mark_id, hint_id, county, mark, marked_at)
SELECT mark_id, hint_id, county, mark, marked_at, biz_date, known_at
FROM source.hint_mark
