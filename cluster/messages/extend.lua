-- A claim is kept for longer.
--
-- KEYS[1]  the queue of an address of record
-- ARGV     node, ms, fence
-- Returns  1, or 0: it is lost
local claim = redis.call('HGET', KEYS[1], '@')
local held, asked = (claim or ''):match('^(%d+)\n[^\n]*\n%d+\n(.*)$')
if held ~= ARGV[3] then return 0 end
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
redis.call('HSET', KEYS[1], '@', held .. '\n' .. ARGV[1] .. '\n' .. ends .. '\n' .. asked)
return 1
