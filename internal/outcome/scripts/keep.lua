-- Keeps the record and its sealed result for as long as the caller needs them.
--
-- KEYS, returns: see lib.lua. ARGV: for how long an undelivered result is kept in ms.

local undelivered = own_args()
if asks_post() then keep_for_post(undelivered) elseif state ~= '' then keep_unsettled(0) end
return answer(1)
