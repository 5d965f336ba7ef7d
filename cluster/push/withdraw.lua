-- Takes a push back, whoever has claimed it.
--
-- KEYS[1]  the stream of the partition
-- ARGV     push id, channel on which its dispatcher hears of it
-- Returns  0 it was not there, 1 nobody had claimed it, 2 somebody had, and may be sending it
local call, key = redis.call, KEYS[1]
local entry = call('HGET', key .. ':ids', ARGV[1])
if not entry then return 0 end
call('HDEL', key .. ':ids', ARGV[1])
call('XDEL', key, entry)
if call('HDEL', key .. ':claims', entry) == 0 then return 1 end
call('PUBLISH', ARGV[2], ARGV[1])
return 2
