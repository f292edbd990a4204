-- Erases the record of a session that nobody wants followed any more.
--
-- KEYS, returns: see lib.lua. ARGV: the holder.
-- Not applied if the session has an outcome, or somebody else holds it.

local holder = own_args()
if state ~= 'following' or get('holder') ~= holder then return answer(0) end
redis.call('DEL', record, sealed, salvage)
return answer(1)
