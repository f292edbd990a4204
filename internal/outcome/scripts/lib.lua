-- What all scripts on one record share. It stands in front of each of them.
--
-- KEYS: the record, its sealed result, the list of given-up deliveries, MarkSign's
-- answer that could not be used.
-- ARGV: what recordArgs lists in scripts.go, and then the script's own.
-- Returns: whether it was applied (1 or 0), Redis's time in ms, the record's fields and
-- values by turns, the size of the sealed result in bytes, the sealed result or ''.
--
-- The sealed result has a key of its own because the record must outlive it. Times to
-- live are only ever made longer, because processes have different settings and each
-- knows only its own. What was given up is kept for the redelivery window and no longer,
-- and settle.lua shortens the record's time.
--
-- A script that runs again with the same arguments changes no more than a count: a
-- client whose connection broke cannot know whether the first run was done.

local record, sealed, given_up, salvage = unpack(KEYS)
local version, posting, removable, kept_reason = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local unsettled, margin, late = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local function own_args() return unpack(ARGV, 8) end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function ms(n) return string.format('%.0f', n) end

local function get(field) return redis.call('HGET', record, field) or '' end
local function set(...) redis.call('HSET', record, ...) end
local state = get('state') -- as it was when the script began

local function answer(applied)
  return {applied, ms(now), redis.call('HGETALL', record), redis.call('STRLEN', sealed), ''}
end

-- Begins a record, with the other fields given.
local function begin(retention, ...)
  set('v', version, 'started', ms(now), 'retention', retention, ...)
end

local function is_one_of(states)
  for one in string.gmatch(states, '%S+') do
    if one == state then return true end
  end
  return false
end
local function asks_post() return is_one_of(posting) end
local function may_remove() return is_one_of(removable) end

local function removal_ended()
  local removal = get('removal')
  return removal == 'removed' or removal == 'unknown'
end

local function claimed_by_other(claimant)
  local holder = get('claimant')
  if holder == '' or holder == claimant then return false end
  local from, ends = tonumber(get('claim_from')), tonumber(get('claim')) or 0
  if from and from > now then -- the clock stepped back: the claim lasts no longer because of that
    ends = now + ends - from
    set('claim', ms(ends), 'claim_from', ms(now))
  end
  return ends > now
end

local function claim(claimant, duration)
  if get('claimant') ~= claimant then redis.call('HINCRBY', record, 'attempts', 1) end
  set('claimant', claimant, 'claim', ms(now + tonumber(duration)), 'claim_from', ms(now))
end

local function release(claimant)
  if get('claimant') == claimant then redis.call('HDEL', record, 'claimant', 'claim', 'claim_from') end
end

local function keep_longer(key, duration)
  local left = redis.call('PTTL', key)
  if left ~= -2 and left < duration then redis.call('PEXPIRE', key, ms(duration)) end
end

-- Keeps the record for whichever task comes last, and at_least for the duration given.
local function keep_unsettled(at_least)
  keep_longer(record, math.max(unsettled, (tonumber(get('retention')) or 0) + late, tonumber(at_least)))
end

-- For how long a result is still kept that is to be posted. undelivered is for how
-- long the caller keeps one since it was final.
local function kept_for_post(undelivered)
  return (tonumber(get('final')) or now) + tonumber(undelivered) - now
end

local function keep_for_post(undelivered)
  if state ~= 'redelivering' then keep_longer(sealed, kept_for_post(undelivered)) end
  local left = redis.call('PTTL', sealed)
  keep_unsettled(left + margin)
  keep_longer(salvage, left + margin)
end
