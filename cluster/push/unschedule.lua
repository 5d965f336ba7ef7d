-- Takes a delayed push back.
--
-- KEYS[1]  the stream of the partition
-- ARGV     member
-- Returns  1, or 0: there was none
redis.call('HDEL', KEYS[1] .. ':later:pushes', ARGV[1])
return redis.call('ZREM', KEYS[1] .. ':later', ARGV[1])
