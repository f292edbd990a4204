-- Puts a result in the place of one that could not be opened. It is kept for as long as
-- the first was. If Redis lost the first, it is kept for as long as that would have been,
-- but long enough for the attempt at hand.
--
-- KEYS, returns: see lib.lua. ARGV: the claimant, the sealed result, for how long an
-- undelivered result is kept in ms, for how long one is kept at least in ms.
-- Not applied if the claim is not the claimant's, or the redelivery window is over.

local claimant, result, undelivered, at_least = own_args()
if not asks_post() or get('claimant') ~= claimant then return answer(0) end
local left = redis.call('PTTL', sealed)
if left <= 0 then
  if state == 'redelivering' then return answer(0) end
  left = math.max(kept_for_post(undelivered), tonumber(at_least))
end
redis.call('SET', sealed, result, 'PX', ms(left))
keep_for_post(undelivered)
return answer(1)
