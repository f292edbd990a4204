-- Claims the post, and returns the sealed result with it.
--
-- KEYS, returns: see lib.lua. ARGV: the claimant, the claim in ms, for how long an
-- undelivered result is kept in ms.
-- Not applied, and without the sealed result, if the state asks for no post, or somebody
-- else may be posting.

local claimant, duration, undelivered = own_args()
if not asks_post() then return answer(0) end
keep_for_post(undelivered)
if claimed_by_other(claimant) then return answer(0) end
claim(claimant, duration)
local claimed = answer(1)
claimed[5] = redis.call('GET', sealed) or ''
return claimed
