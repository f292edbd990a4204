-- Notes why MarkSign gave no usable answer to a poll.
--
-- KEYS, returns: see lib.lua. ARGV: the holder, what was wrong.
-- Not applied if the session has an outcome, or somebody else holds it.

local holder, why = own_args()
if state ~= 'following' or get('holder') ~= holder then return answer(0) end
set('trouble', why)
return answer(1)
