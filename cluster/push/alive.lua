-- A dispatcher's sign of life.
--
-- KEYS[1]  the stream of the partition
-- ARGV     fence, node, then entry ids that it asks about
-- Returns  {ms since the last sign of life, ms when the next delayed push is due (-1: none), for each entry 1 if
--          it is still there and claimed by this term, else 0}, or a fence greater than ours
local call, key, fence = redis.call, KEYS[1], tonumber(ARGV[1])
local term = call('HMGET', key .. ':term', 'fence', 'alive')
local known = tonumber(term[1] or 0)
if known > fence then return known end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
call('HSET', key .. ':term', 'fence', ARGV[1], 'alive', now, 'node', ARGV[2])
local first = call('ZRANGE', key .. ':later', 0, 0, 'WITHSCORES')
local result = {now - tonumber(term[2] or 0), first[2] and tonumber(first[2]) or -1}
local mine = 'd' .. ARGV[1] .. '|'
for i = 3, #ARGV do
  local claim = call('HGET', key .. ':claims', ARGV[i])
  result[i] = claim and claim:sub(1, #mine) == mine and 1 or 0
end
return result
