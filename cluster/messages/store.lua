-- Keeps one message.
--
-- ARGV     (1: see devices.lua) id, rank, ms when it expires, version, kind, message, how many may wait, ms that
--          the keys outlive their last message, how many devices are owed it, those devices, then those that
--          have it or refused it
-- Returns  {0 kept, 1 was there already, 2 full; 1 if the copy of :devices changed; those of the devices owed it
--          that were owed nothing of its kind}; where it was there already, the third is 1 if it has left now
--
-- A queue that is empty knows all devices that matter from its first message. Later, a device that is listed and
-- not named here, or named and not listed, is missing in the marks of some: it is noted as such.
local id, kind, last = ARGV[2], ARGV[6], 10 + ARGV[10]
local marks = marks_of_first
if marks then
  for i = 11, #ARGV do
    local device = ARGV[i]
    local p = at(marks, '+' .. device)
    if i > last and p then
      marks = signed(marks, p, '-')
      owe(device, kind, -1)
    elseif not p and not at(marks, '-' .. device) then
      marks = marks .. (i > last and '\n-' or '\n+') .. device
      if i <= last then
        if not row_of[device] then row_for(device).behind = true end
        owe(device, kind, 1)
      end
    end
  end
  if marks:find('\n+', 1, true) then call('HSET', key, id .. '/', marks) else leave(id) end
  return {1, finish(), left}
end

local size = call('ZCARD', order)
if size >= tonumber(ARGV[8]) then return {2, 0} end
local result, lines, named, only = {0, 0}, {ARGV[5] .. ' ' .. ARGV[4] .. ' ' .. kind}, {}, false
for i = 11, #ARGV do
  local device = ARGV[i]
  named[device] = true
  if i > last then
    lines[#lines + 1] = '-' .. device
    if device == '*' then only = true
    elseif size == 0 then row_for(device).known = true end
  else
    lines[#lines + 1] = '+' .. device
    if size > 0 and not row_of[device] then row_for(device).behind = true end
    if owe(device, kind, 1) == 1 then result[#result + 1] = device end
  end
end
if size > 0 and not only then
  for _, row in ipairs(rows) do
    if not named[row.device] and row.device ~= '*' then
      row.known = false
      row.behind = row.owed > 0
    end
  end
end
sequence = sequence + 1
call('ZADD', order, ARGV[3] * 281474976710656 + sequence, id)
result[2] = finish(id, ARGV[7], id .. '/', table.concat(lines, '\n'))
local gone = ARGV[4] + ARGV[9]
if size == 0 then
  call('PEXPIREAT', key, gone)
  call('PEXPIREAT', order, gone)
else
  call('PEXPIREAT', key, gone, 'GT')
  call('PEXPIREAT', order, gone, 'GT')
end
return result
