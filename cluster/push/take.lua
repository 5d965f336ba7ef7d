-- A dispatcher takes what comes after its cursor. A claim is "d<fence>|ms" (dispatcher) or "s<node>|ms" (seized).
--
-- KEYS[1]  the stream of the partition
-- ARGV     fence, node, cursor, count, "1" to be given again what this term has claimed already
-- Returns  {ms since the last sign of life of a dispatcher, new cursor, entries looked at, entry id, push, ...},
--          or a fence greater than ours: somebody else dispatches by now
local call, key, fence = redis.call, KEYS[1], tonumber(ARGV[1])
local term = call('HMGET', key .. ':term', 'fence', 'alive')
local known = tonumber(term[1] or 0)
if known > fence then return known end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
call('HSET', key .. ':term', 'fence', ARGV[1], 'alive', now, 'node', ARGV[2])
local gap = now - tonumber(term[2] or 0)
local found = call('XRANGE', key, '(' .. ARGV[3], '+', 'COUNT', ARGV[4])
if #found == 0 then return {gap, ARGV[3], 0} end

local ids = {}
for i, entry in ipairs(found) do ids[i] = entry[1] end
local claims = call('HMGET', key .. ':claims', unpack(ids))
local result, write = {gap, ids[#ids], #ids}, {}
local mine = 'd' .. ARGV[1] .. '|'
local stamp = mine .. now
for i, entry in ipairs(found) do
  local claim, give = claims[i], true
  if claim and claim:sub(1, #mine) == mine then
    give = ARGV[5] == '1'
  elseif claim and claim:sub(1, 1) == 's' and now - tonumber(claim:match('|(%d+)$')) < 10000 then
    give = false
  else
    write[#write + 1] = entry[1]
    write[#write + 1] = stamp
  end
  if give then
    result[#result + 1] = entry[1]
    result[#result + 1] = entry[2][2]
  end
end
if #write > 0 then call('HSET', key .. ':claims', unpack(write)) end
return result
