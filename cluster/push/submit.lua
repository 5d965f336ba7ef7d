-- Queues one push. The stream holds exactly the pushes that nobody has confirmed yet.
--
-- KEYS[1]  the stream of the partition; beside it :ids (push id -> entry id), :claims, :term, :later
-- ARGV     push id, push, how many may wait, channel to tell the dispatcher on ("" if it is told otherwise)
-- Returns  the entry id (of the first time, when the same push comes twice), or 0: full
local call, key = redis.call, KEYS[1]
local known = call('HGET', key .. ':ids', ARGV[1])
if known then return known end
if call('XLEN', key) >= tonumber(ARGV[3]) then return 0 end
local entry = call('XADD', key, '*', 'p', ARGV[2])
call('HSET', key .. ':ids', ARGV[1], entry)
if ARGV[4] ~= '' then call('PUBLISH', ARGV[4], '') end
return entry
