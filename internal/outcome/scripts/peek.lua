-- Reads many records, without their sealed results.
--
-- KEYS: the records. ARGV: none.
-- Returns: for each, its fields and values by turns.

local records = {}
for i, record in ipairs(KEYS) do records[i] = redis.call('HGETALL', record) end
return records
