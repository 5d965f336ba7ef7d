-- Moves delayed pushes whose time has come into the stream.
--
-- KEYS[1]  the stream of the partition
-- ARGV     fence of the dispatcher; 0: any node may, while dispatchers are silent for longer than the next
--          argument, ms; then how many may wait in the stream, and how many to move
-- Returns  how many were moved, or -1: that is not ours to do
local call, key, fence = redis.call, KEYS[1], tonumber(ARGV[1])
local later, time = key .. ':later', call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local term = call('HMGET', key .. ':term', 'fence', 'alive')
if fence > 0 then
  if tonumber(term[1] or 0) > fence then return -1 end
elseif now - tonumber(term[2] or 0) <= tonumber(ARGV[2]) then
  return -1
end
local room = tonumber(ARGV[3]) - call('XLEN', key)
local count, moved = math.min(room, tonumber(ARGV[4])), 0
if count <= 0 then return 0 end
for _, member in ipairs(call('ZRANGEBYSCORE', later, '-inf', now, 'LIMIT', 0, count)) do
  local stored = call('HGET', later .. ':pushes', member)
  call('ZREM', later, member)
  call('HDEL', later .. ':pushes', member)
  local id, push = (stored or ''):match('^([^\n]*)\n(.*)$')
  if id and call('HEXISTS', key .. ':ids', id) == 0 then
    call('HSET', key .. ':ids', id, call('XADD', key, '*', 'p', push))
    moved = moved + 1
  end
end
return moved
