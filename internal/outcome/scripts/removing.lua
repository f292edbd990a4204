-- Reads the note back that allows a DELETE. It writes, so that WAIT on the same connection
-- covers the note. Until when a session is kept is only written because people want to
-- see it: each run goes by its own setting.
--
-- KEYS, returns: see lib.lua. ARGV: how old the note must be in ms, for how long a session
-- of KeptReason stays at MarkSign in ms.
-- Not applied if there is nothing to remove, or it is too early.

local delay, kept = own_args()
if not may_remove() or removal_ended() then return answer(0) end
local ended = tonumber(get('ended')) or 0
if ended > now then set('ended', ms(now)) end -- the clock stepped back
if now - ended < tonumber(delay) then return answer(0) end
local left = ended + tonumber(kept) - now
if get('reason') == kept_reason and left > 0 then
  set('kept', ms(now + left))
  redis.call('PEXPIRE', salvage, ms(left))
  keep_unsettled(left + margin)
  return answer(0)
end
redis.call('HDEL', record, 'kept')
set('removing', ms(now))
return answer(1)
