-- Begins a record, or makes somebody else the holder of one.
--
-- KEYS, returns: see lib.lua. ARGV: the holder, for how long the record is kept in ms,
-- the task's retention in ms, whether a record may begin (1 or 0).
-- Not applied if there is no record and none may begin.

local holder, kept, retention, may_begin = own_args()
-- Nobody holds a cancelled session, so that whoever held it sees that it is over.
if state == 'cancelled' then return answer(1) end
if state == '' then
  if may_begin == '0' then return answer(0) end
  begin(retention, 'state', 'following')
end
set('holder', holder)
if state == '' or state == 'following' then keep_unsettled(kept) end
return answer(1)
