-- 处置要点：每类警情一张卡片，随警单提示；各地按本级规范改写本文件。
-- What a crew keeps in mind, a card for each category of calls; a site shadows this file with its own norms.
-- @grain category
-- @check unique(category)
SELECT * FROM (VALUES
  ('0101', 1, '先保护现场，问清被盗时间与物品，查看周边视频点位', 'Keep the scene as it is, ask when and what, look which cameras see the place'),
  ('0102', 1, '进入前确认无人滞留，勿触碰门窗把手，通知勘查', 'Make sure nobody is inside, do not touch handles, call the scene team'),
  ('0103', 1, '两人以上到场，先确认伤情，同步通报周边警力', 'Arrive in two or more, look after the injured first, tell units nearby'),
  ('0201', 1, '先隔离双方，再分别询问，全程记录', 'Keep both sides apart, then ask each alone, record throughout'),
  ('0202', 1, '先劝离围观者，确认有无伤者', 'Ask bystanders to leave, see whether anybody is hurt'),
  ('0301', 1, '车辆停在来车方向，摆放警示牌，先救人后勘查', 'Park towards the traffic, put up signs, people before traces'),
  ('0302', 1, '来车方向摆放警示牌，先疏导后处理', 'Put up signs towards the traffic, let it flow first'),
  ('0501', 1, '先通报 120，确认通道可供救护车进入', 'Tell the ambulance service, see that it can get in')
) AS card (category, version, points_zh, points_en)
