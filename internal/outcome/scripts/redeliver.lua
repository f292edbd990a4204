-- Asks for a given-up event to be posted once more. The record must outlive the task
-- that delivers it again, and the sealed result.
--
-- KEYS, returns: see lib.lua. ARGV: none of its own.
-- Not applied if the event was not given up, or its sealed result is gone.

if state == 'redelivering' then return answer(1) end
local left = redis.call('PTTL', sealed)
if state ~= 'given_up' or left <= 0 then return answer(0) end
set('state', 'redelivering', 'redelivered', ms(now), 'attempts_before', get('attempts'))
keep_unsettled(left + margin)
return answer(1)
