-- A dispatcher says that it lives, and asks which of its pushes are still wanted.
--
-- KEYS[1]  the stream
-- ARGV     fence, node, entry ids ...
-- Returns  the greatest fence seen, then for each entry 1 if it is still there, else 0
local call, key = redis.call, KEYS[1]
local term = key .. ':term'
local fence = tonumber(ARGV[1])
local known = tonumber(call('HGET', term, 'fence') or '0')
if known > fence then return {known} end
local time = call('TIME')
call('HSET', term, 'fence', ARGV[1], 'alive', time[1] * 1000 + math.floor(time[2] / 1000), 'node', ARGV[2])
local flags = {fence}
for i = 3, #ARGV do
  flags[#flags + 1] = #call('XRANGE', key, ARGV[i], ARGV[i])
end
return flags
