-- Queue a push later, or never.
--
-- KEYS[1]  the stream
-- ARGV     member, when in ms, push (JSON; empty: take the member's push back)
-- Returns  1 if there was one of that member before, else 0
local call, key = redis.call, KEYS[1]
local before = call('HEXISTS', key .. ':later:pushes', ARGV[1])
if ARGV[3] == '' then
  call('ZREM', key .. ':later', ARGV[1])
  call('HDEL', key .. ':later:pushes', ARGV[1])
else
  call('ZADD', key .. ':later', ARGV[2], ARGV[1])
  call('HSET', key .. ':later:pushes', ARGV[1], ARGV[3])
end
return before
