-- Ends waiting tasks, as asynq's markAsComplete does for a task that runs. One whose proof
-- is gone is made to run instead.
--
-- KEYS: retry, completed, the count of processed tasks of the day, that of all days,
-- pending.
-- ARGV: the task keys' prefix, when the day's count expires in seconds since 1970, and
-- for each task its id, its retention in seconds, its result, the hash that has the
-- proof, the field, its value, and for how long the hash is kept in ms.
-- Returns: the ids of those that are active, because their runs have not returned yet.

local retry, completed, today, total, pending = unpack(KEYS)
local time = redis.call('TIME')
local now = tonumber(time[1])

-- A number as protobuf writes it.
local function varint(n)
  local bytes = ''
  while n >= 128 do
    bytes = bytes .. string.char(n % 128 + 128)
    n = math.floor(n / 128)
  end
  return bytes .. string.char(n)
end
-- Field 13 of asynq's message. Whoever reads a message takes the last of two fields.
local completed_at = string.char(13 * 8) .. varint(now)

local active, finished = {}, 0
for i = 3, #ARGV, 7 do
  local id, retention, result, proof, field, value, kept = unpack(ARGV, i, i + 6)
  local task = ARGV[1] .. id
  local message = redis.call('HGET', task, 'msg')
  if message and redis.call('ZREM', retry, id) == 1 then
    if redis.call('HGET', proof, field) == value then
      redis.call('ZADD', completed, now + retention, id)
      redis.call('HSET', task, 'msg', message .. completed_at, 'state', 'completed', 'result', result)
      redis.call('PEXPIRE', proof, kept)
      finished = finished + 1
    else
      redis.call('RPUSH', pending, id)
      redis.call('HSET', task, 'state', 'pending', 'pending_since', time[1] .. string.format('%06d', time[2]) .. '000')
    end
  elseif message and redis.call('HGET', task, 'state') == 'active' then
    active[#active + 1] = id
  end
end
if finished > 0 then
  redis.call('INCRBY', total, finished)
  if redis.call('INCRBY', today, finished) == finished then redis.call('EXPIREAT', today, ARGV[2]) end
end
return active
