-- Makes waiting tasks run now, before others that are pending.
--
-- KEYS: pending, the sets of waiting tasks. ARGV: the task keys' prefix, the tasks' ids.
-- Returns: the ids of those that are active, because their runs have not returned yet.

local active = {}
local time = redis.call('TIME')
for i = 2, #ARGV do
  local id = ARGV[i]
  local waited = 0
  for set = 2, #KEYS do
    waited = waited + redis.call('ZREM', KEYS[set], id)
  end
  if waited > 0 then
    redis.call('RPUSH', KEYS[1], id)
    redis.call('HSET', ARGV[1] .. id, 'state', 'pending', 'pending_since', time[1] .. string.format('%06d', time[2]) .. '000')
  elseif redis.call('HGET', ARGV[1] .. id, 'state') == 'active' then
    active[#active + 1] = id
  end
end
return active
