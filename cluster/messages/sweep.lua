-- The collector looks at some messages; those that have expired leave.
--
-- ARGV     (1: see devices.lua) key of the collectors' fence ("": none), fence, cursor ("-inf" at first), how many
--          messages to look at
-- Returns  -1: a greater fence is there, nothing is done; or {messages that left, 1 if the copy of :devices
--          changed, messages that stay, 1 if the queue is claimed, :devices, cursor to go on with ("" at the end),
--          then for each that left: id, its head lines, devices that were owed it}
if ARGV[2] ~= '' then
  local known = tonumber(call('GET', ARGV[2]) or 0)
  if known > tonumber(ARGV[3]) then return -1 end
  if known < tonumber(ARGV[3]) then call('SET', ARGV[2], ARGV[3]) end
end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = call('ZRANGEBYSCORE', order, '(' .. ARGV[4], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[5])
local result = {0, 0, 0, 0, '', #found == 2 * ARGV[5] and found[#found] or ''}
local HEAD = '^' .. ('[^\n]*\n'):rep(7)
for i = 1, #found, 2 do
  local id = found[i]
  local marks = call('HGET', key, id .. '/')
  local expires, kind = (marks or ''):match('^%d+ (%d+) ([^\n]*)')
  if not expires then
    leave(id)  -- half a message: nobody can be told of it
  elseif tonumber(expires) <= now then
    local devices = {}
    for device in marks:gmatch('\n%+([^\n]+)') do
      devices[#devices + 1] = device
      owe(device, kind, -1)
    end
    result[#result + 1] = id
    result[#result + 1] = (call('HGET', key, id) or ''):match(HEAD) or ''
    result[#result + 1] = table.concat(devices, '\n')
    leave(id)
  end
end
local size = call('ZCARD', order)
if size == 0 then
  call('DEL', key)  -- also what is left of a queue whose order is gone
  result[2] = call('HDEL', place, ':messages')
else
  result[2] = finish()
  result[5] = call('HGET', key, ':devices') or ''
  if result[6] == '' and call('EXISTS', place) == 1 and call('HGET', place, ':messages') ~= result[5] then
    call('HSET', place, ':messages', result[5])
    result[2] = 1
  end
end
local claim = call('HGET', key, '@')
result[1], result[3] = left, size
result[4] = claim and tonumber(claim:match('^%d+\n[^\n]*\n(%d+)')) > now and 1 or 0
return result
