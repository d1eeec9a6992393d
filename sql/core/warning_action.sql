-- 预警处置：每次签收、办结一行，只增不改。 One row per action on a warning; actions are only ever added.
-- @grain action_id
-- @column act zh "处置" what was done: acknowledged, closed
-- @column result zh "结果" with what it was closed
-- @column note zh "备注" note
-- @check not_null(action_id, warning_id, county, act, acted_at)
SELECT action_id, warning_id, county, act, result, note, acted_at, biz_date, known_at
FROM source.warning_action
