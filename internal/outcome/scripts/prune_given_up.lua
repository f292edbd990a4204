-- Takes deliveries off the list of those given up whose sealed result is gone.
--
-- KEYS: the list, the sealed results. ARGV: their sessions' ids.
-- Returns: how many were taken off.

local pruned = 0
for i, id in ipairs(ARGV) do
  if redis.call('EXISTS', KEYS[i + 1]) == 0 then pruned = pruned + redis.call('ZREM', KEYS[1], id) end
end
return pruned
