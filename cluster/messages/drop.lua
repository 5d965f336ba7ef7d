-- An operator takes a message out of the queue, or all.
--
-- ARGV     (1: see devices.lua) id, or "" for all
-- Returns  2 * messages that left, + 1 if the copy of :devices changed
local id = ARGV[2]
if id == '' then
  left = call('ZCARD', order)
  call('UNLINK', key, order)
  return 2 * left + call('HDEL', place, ':messages')
end
local marks = call('HGET', key, id .. '/')
if not marks then return 0 end
local kind = marks:match('^%d+ %d+ ([^\n]*)')
for device in marks:gmatch('\n%+([^\n]+)') do owe(device, kind, -1) end
leave(id)
local changed = finish()
return 2 * left + changed
