-- A dispatcher that stops gives back what it has claimed and not begun.
--
-- KEYS[1]  the stream of the partition
-- ARGV     who ("d<fence>"), channel, entry ids
local call, key, mine = redis.call, KEYS[1], ARGV[1] .. '|'
for i = 3, #ARGV do
  local claim = call('HGET', key .. ':claims', ARGV[i])
  if claim and claim:sub(1, #mine) == mine then call('HDEL', key .. ':claims', ARGV[i]) end
end
call('PUBLISH', ARGV[2], '')
return 1
