-- Writes the outcome, once, and claims the post if there is a claimant.
--
-- KEYS, returns: see lib.lua. ARGV: the new state (sealed or handed), the event's type,
-- its reason, the polls, the sealed result, for how long an undelivered result is kept in
-- ms, the claimant or '', the claim in ms, the task's retention in ms, why the event is
-- handed over or '', the event's timestamp in ms.
-- Not applied if there is an outcome, unless this claimant wrote it: then it claims again.

local new_state, event_type, reason, polls, result, undelivered, claimant, duration, retention, why, stamp = own_args()
if state == '' then
  begin(retention)
elseif state ~= 'following' then
  if claimant == '' or state ~= new_state or get('claimant') ~= claimant then return answer(0) end
  claim(claimant, duration)
  return answer(1)
end
set('state', new_state, 'final', ms(now), 'type', event_type, 'reason', reason, 'polls', polls, 'stamp', stamp)
redis.call('SET', sealed, result, 'PX', undelivered)
if reason ~= kept_reason then redis.call('DEL', salvage) end
if claimant ~= '' then claim(claimant, duration) end
if why ~= '' then set('error', why) end
keep_for_post(undelivered)
return answer(1)
