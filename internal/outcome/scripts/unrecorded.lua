-- Finds the records that are not there.
--
-- KEYS: the records. ARGV: none.
-- Returns: their places, from 1.

local without = {}
for i, record in ipairs(KEYS) do
  if redis.call('EXISTS', record) == 0 then without[#without + 1] = i end
end
return without
