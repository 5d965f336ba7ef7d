-- A claim is given back; its fence stays, so that the next is greater.
--
-- KEYS[1]  the queue of an address of record
-- ARGV     fence
-- Returns  1 if somebody asked for it meanwhile, else 0
local claim = redis.call('HGET', KEYS[1], '@')
local held, asked = (claim or ''):match('^(%d+)\n[^\n]*\n%d+\n(.*)$')
if held ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], '@', held .. '\n\n0\n')
return asked == '1' and 1 or 0
