-- Take a push back.
--
-- KEYS[1]  the stream
-- ARGV     push id
-- Returns  0: it is done with, or was never queued; 1: nobody had it; 2: somebody was about to send it
local call, key = redis.call, KEYS[1]
local entry = call('HGET', key .. ':ids', ARGV[1])
if not entry then return 0 end
local claimed = call('HDEL', key .. ':claims', entry)
call('HDEL', key .. ':ids', ARGV[1])
call('XDEL', key, entry)
return 1 + claimed
