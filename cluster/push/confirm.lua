-- Takes pushes out of the queue, because all that can be done about them is done.
--
-- KEYS[1]  the stream of the partition
-- ARGV     who ("d<fence>", or "s<node>" that must hold the claim), then entry id, push id of each
-- Returns  for each 1, or 0 if it was not there any more: of all who try, one gets the 1; -1 where a seizer
--          finds it claimed by another; or a fence greater than ours, and nothing is done
local call, key, who = redis.call, KEYS[1], ARGV[1]
local seizer = who:sub(1, 1) == 's'
if not seizer then
  local known = tonumber(call('HGET', key .. ':term', 'fence') or 0)
  if known > tonumber(who:sub(2)) then return known end
end
local mine, result = who .. '|', {}
for i = 2, #ARGV, 2 do
  local claim = seizer and call('HGET', key .. ':claims', ARGV[i])
  if seizer and (not claim or claim:sub(1, #mine) ~= mine) then
    result[#result + 1] = claim and -1 or 0
  else
    result[#result + 1] = call('XDEL', key, ARGV[i])
    if result[#result] == 1 then
      call('HDEL', key .. ':claims', ARGV[i])
      call('HDEL', key .. ':ids', ARGV[i + 1])
    end
  end
end
return result
