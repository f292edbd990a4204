-- Notes that a removal failed, and leaves the next to session:remove.
--
-- KEYS, returns: see lib.lua. ARGV: why it is not removed, the DELETEs that went out (1 or
-- 0), those of them that MarkSign refused (1 or 0).
-- Not applied if there is nothing to remove.

local why, sent, refused = own_args()
if not may_remove() or removal_ended() then return answer(0) end
set('removal', 'handed', 'error', why)
redis.call('HINCRBY', record, 'removals', sent)
redis.call('HINCRBY', record, 'refusals', refused)
if sent == '1' then redis.call('HSETNX', record, 'remove_begun', ms(now)) end
return answer(1)
