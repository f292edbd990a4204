-- Notes how the removal ended. That MarkSign removed it is never taken back.
--
-- KEYS, returns: see lib.lua. ARGV: the removal (removed or unknown).
-- Not applied if the session may not be removed.

local ended = own_args()
if not may_remove() then return answer(0) end
local removal = get('removal')
if removal == 'removed' or removal == ended then return answer(1) end
if ended == 'removed' then redis.call('HINCRBY', record, 'removals', 1) end
set('removal', ended, 'removed', ms(now))
redis.call('HDEL', record, 'kept')
redis.call('DEL', salvage)
return answer(1)
