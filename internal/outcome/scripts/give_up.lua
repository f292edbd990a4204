-- Ends the delivery without a receiver's word. What was given up twice is kept no longer
-- than what was given up once.
--
-- KEYS, returns: see lib.lua. ARGV: the session's id, the claimant, why, the redelivery
-- window in ms, the payload of the task that delivers it again.
-- Not applied if the state asks for no post, or somebody else may be posting.

local id, claimant, why, window, task = own_args()
if state == 'given_up' then return answer(1) end
if not asks_post() or claimed_by_other(claimant) then return answer(0) end
release(claimant)
set('state', 'given_up', 'ended', ms(now), 'error', why, 'task', task)
if state ~= 'redelivering' then redis.call('PEXPIRE', sealed, window) end
if redis.call('EXISTS', sealed) == 1 then
  redis.call('ZADD', given_up, ms(now), id)
else
  redis.call('ZREM', given_up, id)
end
keep_unsettled(window + margin)
return answer(1)
