-- Makes waiting tasks run now, before others that are pending.
--
-- KEYS: retry, pending. ARGV: the task keys' prefix, the tasks' ids.
-- Returns: the ids of those that are active, because their runs have not returned yet.

local active = {}
local time = redis.call('TIME')
for i = 2, #ARGV do
  local id = ARGV[i]
  if redis.call('ZREM', KEYS[1], id) == 1 then
    redis.call('RPUSH', KEYS[2], id)
    redis.call('HSET', ARGV[1] .. id, 'state', 'pending', 'pending_since', time[1] .. string.format('%06d', time[2]) .. '000')
  elseif redis.call('HGET', ARGV[1] .. id, 'state') == 'active' then
    active[#active + 1] = id
  end
end
return active
