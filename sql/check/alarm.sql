-- 来源的每条接警单都在 core.alarm 中。 Every call record of the source is in core.alarm.
SELECT a.n AS source_rows, b.n AS core_rows
FROM (SELECT count(*) AS n FROM source.alarm) AS a
CROSS JOIN (SELECT count(*) AS n FROM core.alarm) AS b
WHERE a.n <> b.n
