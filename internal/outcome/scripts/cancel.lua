-- Ends a session that has no outcome yet, so that nothing is posted.
--
-- KEYS, returns: see lib.lua. ARGV: the task's retention in ms, the removal (handed, or
-- unknown if the task is gone).
-- Not applied if there is another outcome, or neither a record nor a task.

local retention, removal = own_args()
if state == 'cancelled' then return answer(1) end
if state ~= '' and state ~= 'following' then return answer(0) end
if state == '' then
  if removal == 'unknown' then return answer(0) end
  begin(retention)
end
set('state', 'cancelled', 'ended', ms(now), 'final', ms(now), 'holder', '', 'removal', removal)
if removal == 'unknown' then set('removed', ms(now)) end
redis.call('DEL', salvage)
keep_unsettled(0)
return answer(1)
