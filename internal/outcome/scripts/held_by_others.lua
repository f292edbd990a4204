-- Finds the records that somebody else holds, or nobody.
--
-- KEYS: the records. ARGV: the holder.
-- Returns: their places, from 1.

local others = {}
for i, record in ipairs(KEYS) do
  if redis.call('HGET', record, 'holder') ~= ARGV[1] then others[#others + 1] = i end
end
return others
