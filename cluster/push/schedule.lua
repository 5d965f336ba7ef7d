-- Keeps a push until it is due; the same member again replaces it.
--
-- KEYS[1]  the stream of the partition; beside it :later (member -> ms) and :later:pushes (member -> id LF push)
-- ARGV     member, ms since 1970, push id, push, how many may wait
-- Returns  1, or 0: full
local call, key = redis.call, KEYS[1]
local later = key .. ':later'
if call('ZCARD', later) >= tonumber(ARGV[5]) and not call('ZSCORE', later, ARGV[1]) then return 0 end
call('ZADD', later, ARGV[2], ARGV[1])
call('HSET', later .. ':pushes', ARGV[1], ARGV[3] .. '\n' .. ARGV[4])
return 1
