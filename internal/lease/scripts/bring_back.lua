-- Makes tasks due that wait for too long. A due time counts as too late only if Redis's
-- clock says so too.
--
-- KEYS: sets of waiting tasks. ARGV: the caller's time in s, the longest pause in s, the
-- spread in s, how many of each set at once.
-- Returns: how many tasks were made due.

local now = math.max(tonumber(redis.call('TIME')[1]), tonumber(ARGV[1]))
local back = 0
for _, set in ipairs(KEYS) do
  local late = redis.call('ZRANGEBYSCORE', set, '(' .. (now + ARGV[2]), '+inf', 'LIMIT', 0, ARGV[4])
  for i, id in ipairs(late) do redis.call('ZADD', set, 'XX', now + i % ARGV[3], id) end
  back = back + #late
end
return back
