-- Finds the tasks that wait or run.
--
-- KEYS: the tasks. ARGV: none.
-- Returns: their places, from 1.

local places = {}
local unfinished = {pending = true, active = true, scheduled = true, retry = true}
for i, key in ipairs(KEYS) do
  if unfinished[redis.call('HGET', key, 'state') or ''] then places[#places + 1] = i end
end
return places
