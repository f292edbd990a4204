-- Begins a record, or makes somebody else the holder of one.
--
-- KEYS: those of lib.lua, and if there may be evidence that the session had its outcome,
-- the hash and the keys that prove it. Returns: see lib.lua. ARGV: the holder, for how
-- long the record is kept in ms, the task's retention in ms, the field of the hash that
-- proves it.
-- Not applied if there is no record, but such evidence.

local holder, kept, retention, field = own_args()
-- Nobody holds a cancelled session, so that whoever held it sees that it is over.
if state == 'cancelled' then return answer(1) end
if state == '' then
  if KEYS[5] and redis.call('HEXISTS', KEYS[5], field) == 1 then return answer(0) end
  if KEYS[6] and redis.call('EXISTS', unpack(KEYS, 6)) > 0 then return answer(0) end
  begin(retention, 'state', 'following')
end
set('holder', holder)
if state == '' or state == 'following' then keep_unsettled(kept) end
return answer(1)
