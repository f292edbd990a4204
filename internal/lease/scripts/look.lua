-- Says what there is to do in some queues. It also makes a change that changes nothing, so
-- that a Redis that takes no writes refuses it.
--
-- KEYS: of each queue pending, scheduled and retry. ARGV: the caller's time in s.
-- Returns: of each queue whether a task is pending, and whether one is due (1 or 0).

local found = {}
for i = 1, #KEYS, 3 do
  found[#found + 1] = math.min(redis.call('LLEN', KEYS[i]), 1)
  local due = 0
  for set = i + 1, i + 2 do
    due = due + #redis.call('ZRANGEBYSCORE', KEYS[set], '-inf', ARGV[1], 'LIMIT', 0, 1)
  end
  found[#found + 1] = math.min(due, 1)
end
redis.call('ZADD', KEYS[3], 'XX', 0, '')
return found
