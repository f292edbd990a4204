-- Puts active tasks back whose worker is dead. Goes by Redis's clock. An entry whose task
-- is gone is dropped. A lease that ends too late begins again: a worker that lives renews
-- it.
--
-- KEYS: active, asynq's leases, pending. ARGV: the task keys' prefix, below how much a
-- lease that is left is stale in s, how far away a lease may end in s, asynq's lease in s.
-- Returns: how many tasks were put back.

local time = redis.call('TIME')
local stale = tonumber(time[1]) + tonumber(ARGV[2])
local back = 0
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  local ends = redis.call('ZSCORE', KEYS[2], id)
  if ends and tonumber(ends) > tonumber(time[1]) + tonumber(ARGV[3]) then
    ends = tonumber(time[1]) + tonumber(ARGV[4])
    redis.call('ZADD', KEYS[2], 'XX', ends, id)
  end
  if not ends or tonumber(ends) < stale then
    redis.call('LREM', KEYS[1], 0, id)
    redis.call('ZREM', KEYS[2], id)
    local task = ARGV[1] .. id
    if redis.call('HEXISTS', task, 'msg') == 1 then
      redis.call('RPUSH', KEYS[3], id)
      redis.call('HSET', task, 'state', 'pending', 'pending_since', time[1] .. string.format('%06d', time[2]) .. '000')
      back = back + 1
    end
  end
end
return back
