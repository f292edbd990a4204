-- Reads the record.
--
-- KEYS, returns: see lib.lua. ARGV: none of its own.

return answer(1)
