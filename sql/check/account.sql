-- 每一批次：读入 = 接收 + 重复 + 拒绝。 Every batch: read = accepted + duplicate + rejected.
SELECT batch, file, read, accepted, duplicate, rejected
FROM ops.ingest
WHERE read <> accepted + duplicate + rejected
