-- 视频片段索引：每个片段一行。 One row per clip: which camera, when, how long, how good.
-- @grain clip_id
-- @incremental biz_date
-- @check not_null(clip_id, camera_id, begin_at, end_at)
-- @check in_range(length_seconds, 0, 86400)
SELECT
  clip_id,
  camera_id,
  begin_at,
  end_at,
  -- a clip that ends before it begins has no length; it must not hold the whole city's release
  CASE WHEN end_at >= begin_at AND end_at <= begin_at + INTERVAL '1 day'
    THEN (arrow_cast(end_at, 'Int64') - arrow_cast(begin_at, 'Int64')) / 1000000 END AS length_seconds,
  quality,
  storage_ref,
  biz_date,
  source_batch,
  source_line
FROM source.video_index
