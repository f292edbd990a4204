-- Notes that MarkSign's answer could not be used, and keeps it sealed.
--
-- KEYS, returns: see lib.lua. ARGV: the holder, what was wrong, the sealed answer or '',
-- for how long that is kept in ms.
-- Not applied if the session has an outcome, or somebody else holds it.

local holder, why, answered, kept = own_args()
if state ~= 'following' or get('holder') ~= holder then return answer(0) end
set('unusable', why)
redis.call('HINCRBY', record, 'unusables', 1)
if answered ~= '' then redis.call('SET', salvage, answered, 'PX', kept) end
return answer(1)
