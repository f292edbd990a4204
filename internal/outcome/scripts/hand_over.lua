-- Leaves the post to webhook:deliver.
--
-- KEYS, returns: see lib.lua. ARGV: the claimant, why it is handed over, for how long an
-- undelivered result is kept in ms.
-- Not applied if the state asks for no post, or webhook:deliver has it already for a
-- redelivery, or somebody else may be posting.

local claimant, why, undelivered = own_args()
if not asks_post() or state == 'redelivering' or claimed_by_other(claimant) then return answer(0) end
release(claimant)
set('state', 'handed', 'error', why)
keep_for_post(undelivered)
return answer(1)
