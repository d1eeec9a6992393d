-- 本区县处警响应：本区县到场时长与达标率；少于 30 起不列。 Response of a county from its own calls; none below 30 calls.
SELECT county, reading, target_seconds, dispatched, valid, excluded, excluded_share, response_seconds_p50, response_seconds_p80,
  response_seconds_p90, within_target, compliance, compliance_lower, compliance_upper, is_plausible
FROM indicator.response
WHERE dispatched >= 30
