-- Notes that a post failed, and gives the claim back.
--
-- KEYS, returns: see lib.lua. ARGV: the claimant, why the post failed, for how long an
-- undelivered result is kept in ms.
-- Not applied if the state asks for no post, or the claim is not the claimant's.

local claimant, why, undelivered = own_args()
if not asks_post() or get('claimant') ~= claimant then return answer(0) end
release(claimant)
set('error', why)
keep_for_post(undelivered)
return answer(1)
