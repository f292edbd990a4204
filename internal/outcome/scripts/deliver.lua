-- Notes that a receiver acknowledged the event, and erases the result. A 2xx is a fact,
-- whatever the record says: also if Redis lost the record, or somebody else gave up.
--
-- KEYS, returns: see lib.lua. ARGV: the session's id, the event's type, its reason, the
-- polls, the task's retention in ms.
-- Not applied if the session was cancelled.

local id, event_type, reason, polls, retention = own_args()
if state == 'delivered' then return answer(1) end
if state == 'cancelled' then return answer(0) end
if state == '' then begin(retention) end
if state == '' or state == 'following' then
  set('type', event_type, 'reason', reason, 'polls', polls, 'final', ms(now), 'attempts', 1)
end
set('state', 'delivered', 'ended', ms(now))
redis.call('HDEL', record, 'claimant', 'claim', 'claim_from', 'error', 'failed', 'task')
redis.call('DEL', sealed)
if get('reason') ~= kept_reason then redis.call('DEL', salvage) end
redis.call('ZREM', given_up, id)
keep_unsettled(0)
return answer(1)
