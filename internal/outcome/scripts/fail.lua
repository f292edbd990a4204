-- Notes that a post failed, and gives the claim back. The record keeps whose failure was
-- noted last, so that a repeated call is told the same.
--
-- KEYS, returns: see lib.lua. ARGV: the claimant, why the post failed, for how long an
-- undelivered result is kept in ms.
-- Not applied if the state asks for no post, or the claim is not the claimant's.

local claimant, why, undelivered = own_args()
if not asks_post() then return answer(0) end
if get('claimant') ~= claimant then return answer(get('failed') == claimant and 1 or 0) end
release(claimant)
set('error', why, 'failed', claimant)
keep_for_post(undelivered)
return answer(1)
