-- 不可上图的类别不得有位置。 A category that may not be mapped has no position.
SELECT a.alarm_id, a.category
FROM core.alarm AS a
WHERE NOT a.is_mappable AND (a.lon IS NOT NULL OR a.cell IS NOT NULL)
