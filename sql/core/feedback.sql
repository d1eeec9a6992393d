-- 反馈：每条反馈单一行。 One row per feedback.
-- @grain feedback_id
-- @incremental biz_date
-- @check not_null(feedback_id, alarm_id)
-- @check unique(feedback_id)
SELECT
  feedback_id,
  alarm_id,
  is_final,
  category_final,
  result,
  handled_at,
  fed_back_at,
  known_at,
  biz_date,
  source_batch,
  source_line
FROM source.feedback
