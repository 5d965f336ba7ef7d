-- Take pushes out of the queue that are done with.
--
-- KEYS[1]  the stream
-- ARGV     fence (0: by who seized them), node, then entry id and push id of each
-- Returns  the greatest fence seen, then for each push 1 if it was still there, else 0. A fence smaller than
--          the first number is refused, with no more than that number.
--
-- Of two who confirm the same push one finds 1 and the other 0, whoever they are.
local call, key = redis.call, KEYS[1]
local fence = tonumber(ARGV[1])
local known = tonumber(call('HGET', key .. ':term', 'fence') or '0')
if fence > 0 and known > fence then return {known} end
local flags = {known}
for i = 3, #ARGV, 2 do
  local entry = ARGV[i]
  local gone = call('XDEL', key, entry)
  if gone == 1 then
    call('HDEL', key .. ':ids', ARGV[i + 1])
    call('HDEL', key .. ':claims', entry)
  end
  flags[#flags + 1] = gone
end
return flags
