-- Queue the pushes whose time has come.
--
-- KEYS[1]  the stream
-- ARGV     fence, how many at most
-- Returns  the greatest fence seen, and how many were queued
--
-- A push is its id, a line feed and its JSON.
local call, key = redis.call, KEYS[1]
local later, pushes = key .. ':later', key .. ':later:pushes'
local known = tonumber(call('HGET', key .. ':term', 'fence') or '0')
if known > tonumber(ARGV[1]) then return {known, 0} end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local count = 0
for _, member in ipairs(call('ZRANGEBYSCORE', later, '-inf', now, 'LIMIT', 0, ARGV[2])) do
  local id, push = (call('HGET', pushes, member) or ''):match('^([^\n]*)\n(.*)$')
  if id and call('HEXISTS', key .. ':ids', id) == 0 then
    call('HSET', key .. ':ids', id, call('XADD', key, '*', 'i', id, 'p', push))
    count = count + 1
  end
  call('ZREM', later, member)
  call('HDEL', pushes, member)
end
return {known, count}
