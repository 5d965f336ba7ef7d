-- What lies there while nobody dispatches and whose own node may be dead: claimed for this node.
--
-- KEYS[1]  the stream of the partition
-- ARGV     node, age in ms of pushes and of the silence of dispatchers, cursor, count
-- Returns  {new cursor, entries looked at, entry id, push, ...}
local call, key = redis.call, KEYS[1]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local alive = tonumber(call('HGET', key .. ':term', 'alive') or 0)
if now - alive <= tonumber(ARGV[2]) then return {ARGV[3], 0} end
local found = call('XRANGE', key, '(' .. ARGV[3], now - ARGV[2], 'COUNT', ARGV[4])
local result, mine = {ARGV[3], #found}, 's' .. ARGV[1] .. '|'
for _, entry in ipairs(found) do
  local claim = call('HGET', key .. ':claims', entry[1])
  result[1] = entry[1]
  if not claim or claim:sub(1, 1) == 'd' or now - tonumber(claim:match('|(%d+)$')) >= 10000 then
    call('HSET', key .. ':claims', entry[1], mine .. now)
    result[#result + 1] = entry[1]
    result[#result + 1] = entry[2][2]
  end
end
return result
