-- Queue one push. The stream of a partition holds exactly the pushes that nobody has confirmed.
--
-- KEYS[1]  the stream; beside it :ids (push id -> entry), :claims, :term, :later, :later:pushes
-- ARGV     push id, push (JSON), longest length of the stream, channel
-- Returns  its entry id (the one there is, if it was queued before), or 0: the stream is full
local call, key = redis.call, KEYS[1]
local known = call('HGET', key .. ':ids', ARGV[1])
if known then return known end
if call('XLEN', key) >= tonumber(ARGV[3]) then return 0 end
local entry = call('XADD', key, '*', 'i', ARGV[1], 'p', ARGV[2])
call('HSET', key .. ':ids', ARGV[1], entry)
call('PUBLISH', ARGV[4], entry)
return entry
