-- The number of messages in all queues, as far as the nodes have told.
--
-- KEYS[1]  the number
-- ARGV     what to add, or "=" and what it is
-- Returns  it
local word = ARGV[1]
if word == '0' then return tonumber(redis.call('GET', KEYS[1]) or 0) end
if word:sub(1, 1) == '=' then redis.call('SET', KEYS[1], word:sub(2)) end
local sum = redis.call('INCRBY', KEYS[1], word:sub(1, 1) == '=' and 0 or word)
if sum == 0 then redis.call('DEL', KEYS[1]) end
return sum
