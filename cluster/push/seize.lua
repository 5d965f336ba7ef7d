-- A node takes upon itself what no dispatcher seems to send.
--
-- KEYS[1]  the stream of the partition
-- ARGV     node, ms after which a silent dispatcher does not count, fence of the node's own term (0: none),
--          then push ids
-- Returns  for each its entry id if it is this node's now (again), "-" if another has it, "" if it is gone
local call, key = redis.call, KEYS[1]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local alive = tonumber(call('HGET', key .. ':term', 'alive') or 0)
local silent = now - alive > tonumber(ARGV[2])
local mine, term = 's' .. ARGV[1] .. '|', 'd' .. ARGV[3] .. '|'
local result = {}
for i = 4, #ARGV do
  local entry = call('HGET', key .. ':ids', ARGV[i])
  if not entry then
    result[#result + 1] = ''
  else
    local claim = call('HGET', key .. ':claims', entry)
    local free = not claim or claim:sub(1, #mine) == mine
    if not free and claim:sub(1, 1) == 'd' then
      free = silent or claim:sub(1, #term) == term
    elseif not free then
      free = now - tonumber(claim:match('|(%d+)$')) >= 10000
    end
    if free then call('HSET', key .. ':claims', entry, mine .. now) end
    result[#result + 1] = free and entry or '-'
  end
end
return result
