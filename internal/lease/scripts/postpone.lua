-- Sets when a waiting task is due.
--
-- KEYS: retry, scheduled, the task. ARGV: the task's id, the due time in seconds.
-- Returns: 'waits' if the task waits, and else its state, '' if there is none.

for i = 1, 2 do
  if redis.call('ZSCORE', KEYS[i], ARGV[1]) then
    redis.call('ZADD', KEYS[i], 'XX', ARGV[2], ARGV[1])
    return 'waits'
  end
end
return redis.call('HGET', KEYS[3], 'state') or ''
