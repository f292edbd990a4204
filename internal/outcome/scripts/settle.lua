-- Shortens the record's time, because the session's last task has ended.
--
-- KEYS, returns: see lib.lua. ARGV: the redelivery window in ms.
-- Not applied if the removal has not ended, or the event is being delivered again.

local window = own_args()
if not removal_ended() or state == 'redelivering' then return answer(0) end
local kept = (tonumber(get('retention')) or 0) + late
if state == 'given_up' then
  kept = math.max(kept, window + margin, redis.call('PTTL', sealed) + margin)
end
redis.call('PEXPIRE', record, ms(kept))
return answer(1)
