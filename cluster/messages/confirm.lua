-- What devices said to messages. Not fenced: a delivery is a fact, whoever tells it.
--
-- ARGV     (1: see devices.lua) then id, device, status of each: 408, 430 and 503 are only noted, any other
--          ends it for that device; a 2xx also ends it for "anybody"
-- Returns  2 * messages that left the queue, + 1 if the copy of :devices changed
for i = 2, #ARGV, 3 do
  local id, device, status = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local marks = marks_of_first
  if i > 2 then marks = call('HGET', key, id .. '/') end
  if marks then
    local kind, was, taken = marks:match('^%d+ %d+ ([^\n]*)'), marks, status:sub(1, 1) == '2'
    local p = at(marks, '+' .. device)
    if status == '408' or status == '430' or status == '503' then
      taken = false
    elseif p then
      marks = signed(marks, p, '-')
      owe(device, kind, -1)
    elseif not at(marks, '-' .. device) then
      marks = marks .. '\n-' .. device
    end
    -- Those that are never known again may refuse it only so often.
    p = at(marks, '+*')
    if p and (taken or #marks > 2000) then
      marks = marks:sub(1, p - 2) .. marks:sub(p + 2)
      owe('*', kind, -1)
    end
    if not marks:find('\n+', 1, true) then
      leave(id)
    else
      if marks ~= was then call('HSET', key, id .. '/', marks) end
      if not taken and #marks <= 4000 then
        local lines = {status .. ' ' .. device}
        for line in (call('HGET', key, id .. '!') or ''):gmatch('[^\n]+') do
          if line:sub(5) ~= device then lines[#lines + 1] = line end
        end
        call('HSET', key, id .. '!', table.concat(lines, '\n', 1, math.min(#lines, 16)))
      end
    end
  end
end
local changed = finish()
return 2 * left + changed
