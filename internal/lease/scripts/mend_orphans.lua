-- Makes a task run that is in no list. A hash without a message is what a late result
-- leaves of a deleted task: it is erased.
--
-- KEYS: the task, pending, active, scheduled, retry, archived, completed. ARGV: its id.
-- Returns: 1 if the task was put back, or 0.

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('LPOS', KEYS[2], ARGV[1]) or redis.call('LPOS', KEYS[3], ARGV[1]) then return 0 end
for i = 4, 7 do
  if redis.call('ZSCORE', KEYS[i], ARGV[1]) then return 0 end
end
if redis.call('HEXISTS', KEYS[1], 'msg') == 0 then
  redis.call('DEL', KEYS[1])
  return 0
end
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], 'state', 'pending')
return 1
