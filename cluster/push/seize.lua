-- The node that queued pushes takes those that no dispatcher has sent in time.
--
-- KEYS[1]  the stream
-- ARGV     node, ms after which a silent dispatcher counts as dead, ms that a seizure lasts, push ids ...
-- Returns  for each push its entry id (it is this node's to send now), 1 (somebody else has it), or 0 (done with)
local call, key = redis.call, KEYS[1]
local claims = key .. ':claims'
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local silent = now - tonumber(call('HGET', key .. ':term', 'alive') or '0') > tonumber(ARGV[2])
local answer = {}
for i = 4, #ARGV do
  local entry = call('HGET', key .. ':ids', ARGV[i])
  if not entry then
    answer[#answer + 1] = 0
  else
    local kind, node, since = (call('HGET', claims, entry) or ''):match('^(%a)|([^|]*)|(%d+)$')
    local mine = not kind or (kind == 'd' and silent)
      or (kind == 's' and (node == ARGV[1] or now - tonumber(since) > tonumber(ARGV[3])))
    if mine then
      call('HSET', claims, entry, 's|' .. ARGV[1] .. '|' .. now)
      answer[#answer + 1] = entry
    else
      answer[#answer + 1] = 1
    end
  end
end
return answer
