package outcome

import "github.com/redis/go-redis/v9"

// Every script begins with the prelude, works on the record KEYS[1], its sealed
// result KEYS[2], the list of given-up deliveries KEYS[3] and the sealed answer that
// could not be used KEYS[4], and answers {1 if it did what was asked, else 0;
// Redis's time in ms; the record; the sealed result}. The sealed result has a key of its own because the record must outlive it.
//
// The keys' times to live are only ever made longer, for processes have different
// settings, and each knows its own alone. "undelivered" is for how long a process
// keeps a result that is not delivered, in ms since it was final: its delivery
// window and a margin. What was given up is kept for the redelivery window and no
// longer, and Settle shortens the record's time.
//
// Running one again with the same arguments changes no more than a count, for a
// client whose connection broke cannot know whether the first run was done.
const prelude = `
local key = KEYS[1]
local sealed = KEYS[2]
local given_up = KEYS[3]
local salvage = KEYS[4]
local kept_reason = '` + KeptReason + `'
local id = string.sub(key, 12)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function ms(n) return string.format('%.0f', n) end
local function get(field) return redis.call('HGET', key, field) or '' end
local function set(...) redis.call('HSET', key, ...) end
local function keep_longer(k, n)
  local left = redis.call('PTTL', k)
  if left ~= -2 and left < n then redis.call('PEXPIRE', k, ms(n)) end
end
local function answer(did) return {did, ms(now), redis.call('HGETALL', key), redis.call('GET', sealed) or ''} end
local state = get('state')
local asks_post = state == 'sealed' or state == 'handed' or state == 'redelivering'
local may_remove = state == 'delivered' or state == 'given_up' or state == 'redelivering' or state == 'cancelled'
local function claimed_by_other(claimant)
  local holder = get('claimant')
  if holder == '' or holder == claimant then return false end
  local from, ends = tonumber(get('claim_from')), tonumber(get('claim')) or 0
  if from and from > now then -- the clock stepped back: the claim lasts no longer for it
    ends = now + ends - from
    set('claim', ms(ends), 'claim_from', ms(now))
  end
  return ends > now
end
local function claim(claimant, duration)
  if get('claimant') ~= claimant then redis.call('HINCRBY', key, 'attempts', 1) end
  set('claimant', claimant, 'claim', ms(now + tonumber(duration)), 'claim_from', ms(now))
end
local function release(claimant)
  if get('claimant') == claimant then redis.call('HDEL', key, 'claimant', 'claim', 'claim_from') end
end
local function keep_unsettled(at_least)
  keep_longer(key, math.max(2592000000, (tonumber(get('retention')) or 0) + 3600000, tonumber(at_least)))
end
local function kept_for_post(undelivered)
  return (tonumber(get('final')) or now) + tonumber(undelivered) - now
end
local function keep_for_post(undelivered)
  if state ~= 'redelivering' then keep_longer(sealed, kept_for_post(undelivered)) end
  local left = redis.call('PTTL', sealed)
  keep_unsettled(left + 86400000)
  keep_longer(salvage, left + 86400000)
end
`

func script(body string) *redis.Script { return redis.NewScript(prelude + body) }

var (
	readScript = script(`return answer(1)`)

	// ARGV: holder, ms to keep, retention in ms, whether a record may begin (0 or 1)
	// Nobody holds a cancelled session, so that whoever did sees that it is over.
	followScript = script(`
if state == 'cancelled' then return answer(1) end
if state == '' and ARGV[4] == '0' then return answer(0) end
if state == '' then set('v', 1, 'state', 'following', 'started', ms(now), 'retention', ARGV[3]) end
set('holder', ARGV[1])
if state == '' or state == 'following' then keep_unsettled(ARGV[2]) end
return answer(1)`)

	// ARGV: holder. Forgets a session that nobody wants followed any more.
	forgetScript = script(`
if state ~= 'following' or get('holder') ~= ARGV[1] then return answer(0) end
redis.call('DEL', key, sealed, salvage)
return answer(1)`)

	// ARGV: new state (sealed or handed), type, reason, polls, sealed result,
	// undelivered, claimant or '', claim in ms, retention in ms, why it is handed or '',
	// the event's timestamp in ms
	sealScript = script(`
if state == '' then
  set('v', 1, 'started', ms(now), 'retention', ARGV[9])
elseif state ~= 'following' then
  if ARGV[7] == '' or state ~= ARGV[1] or get('claimant') ~= ARGV[7] then return answer(0) end
  claim(ARGV[7], ARGV[8])
  return answer(1)
end
set('state', ARGV[1], 'final', ms(now), 'type', ARGV[2], 'reason', ARGV[3], 'polls', ARGV[4], 'stamp', ARGV[11])
redis.call('SET', sealed, ARGV[5], 'PX', ARGV[6])
if ARGV[3] ~= kept_reason then redis.call('DEL', salvage) end
if ARGV[7] ~= '' then claim(ARGV[7], ARGV[8]) end
if ARGV[10] ~= '' then set('error', ARGV[10]) end
keep_for_post(ARGV[6])
return answer(1)`)

	// ARGV: undelivered
	keepScript = script(`
if asks_post then keep_for_post(ARGV[1]) elseif state ~= '' then keep_unsettled(0) end
return answer(1)`)

	// ARGV: claimant, claim in ms, undelivered
	claimScript = script(`
if not asks_post then return answer(0) end
keep_for_post(ARGV[3])
if claimed_by_other(ARGV[1]) then return answer(0) end
claim(ARGV[1], ARGV[2])
return answer(1)`)

	// ARGV: claimant, why the post failed, undelivered
	failScript = script(`
if not asks_post or get('claimant') ~= ARGV[1] then return answer(0) end
release(ARGV[1])
set('error', ARGV[2])
keep_for_post(ARGV[3])
return answer(1)`)

	// ARGV: claimant, why it is handed over, undelivered
	handScript = script(`
if not asks_post or state == 'redelivering' or claimed_by_other(ARGV[1]) then return answer(0) end
release(ARGV[1])
set('state', 'handed', 'error', ARGV[2])
keep_for_post(ARGV[3])
return answer(1)`)

	// ARGV: type, reason, polls, retention in ms
	// A 2xx is a fact, whatever the record says: also where Redis lost the
	// record, and where somebody else gave up in the meantime.
	deliveredScript = script(`
if state == 'delivered' then return answer(1) end
if state == 'cancelled' then return answer(0) end
if state == '' then set('v', 1, 'started', ms(now), 'retention', ARGV[4]) end
if state == '' or state == 'following' then
  set('type', ARGV[1], 'reason', ARGV[2], 'polls', ARGV[3], 'final', ms(now), 'attempts', 1)
end
set('state', 'delivered', 'ended', ms(now))
redis.call('HDEL', key, 'claimant', 'claim', 'claim_from', 'error', 'task')
redis.call('DEL', sealed)
if get('reason') ~= kept_reason then redis.call('DEL', salvage) end
redis.call('ZREM', given_up, id)
keep_unsettled(0)
return answer(1)`)

	// ARGV: claimant, why, redelivery window in ms, the task that delivers it
	// What was given up twice is kept no longer than what was given up once.
	giveUpScript = script(`
if state == 'given_up' then return answer(1) end
if not asks_post or claimed_by_other(ARGV[1]) then return answer(0) end
release(ARGV[1])
set('state', 'given_up', 'ended', ms(now), 'error', ARGV[2], 'task', ARGV[4])
if state ~= 'redelivering' then redis.call('PEXPIRE', sealed, ARGV[3]) end
if redis.call('EXISTS', sealed) == 1 then redis.call('ZADD', given_up, ms(now), id)
else redis.call('ZREM', given_up, id) end
keep_unsettled(ARGV[3] + 86400000)
return answer(1)`)

	// No ARGV. The record must outlive the task that delivers it again, and the
	// sealed result.
	redeliverScript = script(`
if state == 'redelivering' then return answer(1) end
local left = redis.call('PTTL', sealed)
if state ~= 'given_up' or left <= 0 then return answer(0) end
set('state', 'redelivering', 'redelivered', ms(now), 'attempts_before', get('attempts'))
keep_unsettled(left + 86400000)
return answer(1)`)

	// ARGV: claimant, sealed result, undelivered
	// For as long as the first would have been kept, if Redis lost that, but for the
	// attempt at hand in any case.
	resealScript = script(`
if not asks_post or get('claimant') ~= ARGV[1] then return answer(0) end
local left = redis.call('PTTL', sealed)
if left <= 0 then
  if state == 'redelivering' then return answer(0) end
  left = math.max(kept_for_post(ARGV[3]), 3600000)
end
redis.call('SET', sealed, ARGV[2], 'PX', ms(left))
keep_for_post(ARGV[3])
return answer(1)`)

	// ARGV: retention in ms, removal (handed, or unknown where the task is gone)
	cancelScript = script(`
if state == 'cancelled' then return answer(1) end
if state ~= '' and state ~= 'following' then return answer(0) end
if state == '' then
  if ARGV[2] == 'unknown' then return answer(0) end
  set('v', 1, 'started', ms(now), 'retention', ARGV[1])
end
set('state', 'cancelled', 'ended', ms(now), 'final', ms(now), 'holder', '', 'removal', ARGV[2])
if ARGV[2] == 'unknown' then set('removed', ms(now)) end
redis.call('DEL', salvage)
keep_unsettled(0)
return answer(1)`)

	// ARGV: ms that the note must be old, ms for which a session of KeptReason stays
	// at MarkSign. Writes before a DELETE goes out, so that WAIT on the same
	// connection covers the note, and reads the note back. Until when a session is
	// kept is only written for people to see: each run goes by its own setting.
	removingScript = script(`
if not may_remove then return answer(0) end
if get('removal') == 'removed' or get('removal') == 'unknown' then return answer(0) end
local ended = tonumber(get('ended')) or 0
if ended > now then set('ended', ms(now)) end -- the clock stepped back
if now - ended < tonumber(ARGV[1]) then return answer(0) end
local left = ended + tonumber(ARGV[2]) - now
if get('reason') == kept_reason and left > 0 then
  set('kept', ms(now + left))
  redis.call('PEXPIRE', salvage, ms(left))
  keep_unsettled(left + 86400000)
  return answer(0)
end
redis.call('HDEL', key, 'kept')
set('removing', ms(now))
return answer(1)`)

	// ARGV: why it is not removed, DELETEs that went out (0 or 1), those of them
	// that MarkSign refused
	removalFailedScript = script(`
if not may_remove then return answer(0) end
if get('removal') == 'removed' or get('removal') == 'unknown' then return answer(0) end
set('removal', 'handed', 'error', ARGV[1])
redis.call('HINCRBY', key, 'removals', ARGV[2])
redis.call('HINCRBY', key, 'refusals', ARGV[3])
if ARGV[2] == '1' then redis.call('HSETNX', key, 'remove_begun', ms(now)) end
return answer(1)`)

	// ARGV: removal (removed or unknown)
	removedScript = script(`
if not may_remove then return answer(0) end
local removal = get('removal')
if removal == 'removed' or removal == ARGV[1] then return answer(1) end
if ARGV[1] == 'removed' then redis.call('HINCRBY', key, 'removals', 1) end
set('removal', ARGV[1], 'removed', ms(now))
redis.call('HDEL', key, 'kept')
redis.call('DEL', salvage)
return answer(1)`)

	// ARGV: redelivery window in ms
	settleScript = script(`
local removal = get('removal')
if removal ~= 'removed' and removal ~= 'unknown' then return answer(0) end
local retention = (tonumber(get('retention')) or 0) + 3600000
if state == 'redelivering' then return answer(0) end
if state == 'given_up' then
  retention = math.max(retention, tonumber(ARGV[1]) + 86400000, redis.call('PTTL', sealed) + 86400000)
end
redis.call('PEXPIRE', key, ms(retention))
return answer(1)`)

	// KEYS: the list of given-up deliveries, sealed results. ARGV: their ids.
	pruneScript = redis.NewScript(`
local pruned = 0
for i, id in ipairs(ARGV) do
  if redis.call('EXISTS', KEYS[i + 1]) == 0 then pruned = pruned + redis.call('ZREM', KEYS[1], id) end
end
return pruned`)

	// KEYS: records, ARGV: holder. Answers the places, from 1, of those that
	// somebody else holds, or nobody.
	othersScript = redis.NewScript(`
local others = {}
for i, key in ipairs(KEYS) do
  if redis.call('HGET', key, 'holder') ~= ARGV[1] then others[#others + 1] = i end
end
return others`)
)
