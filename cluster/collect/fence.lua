-- Looks at the collectors' fence, where their scripts cannot: in a Redis Cluster it lies in another slot.
--
-- KEYS[1]  the fence
-- ARGV     the fence of who asks
-- Returns  the greatest fence there has been
local known = tonumber(redis.call('GET', KEYS[1]) or 0)
if known >= tonumber(ARGV[1]) then return known end
redis.call('SET', KEYS[1], ARGV[1])
return tonumber(ARGV[1])
