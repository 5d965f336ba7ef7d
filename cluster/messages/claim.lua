-- The right to deliver what an address of record is owed, and the first messages of each device that asks.
--
-- ARGV     (1: see devices.lua) node, ms for which it is given, fence (0: a new claim; else more of that one),
--          cursor ("-inf" at first), version, how many messages to look at, then for each device: "n" (named) or
--          "u", device, how many messages it wants
-- Returns  {0, ms until the claim of another ends} and the other will be told that somebody asked; or
--          {fence, 0, 1 if the copy of :devices changed, 1 if there is more, cursor to go on with ("" at the end),
--          then for each message in the order of delivery: id, message, indices of its devices}
--
-- A device of which not all marks may know is added to those that do not name it, unless they are for others
-- only. It counts as such until a walk through all messages has come to its end.
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local micro = time[1] * 1000000 + time[2]
local fence = ARGV[4]
if call('EXISTS', order) == 0 then
  call('DEL', key)
  return {fence == '0' and micro or tonumber(fence), 0, call('HDEL', place, ':messages'), 0, ''}
end

local held, node, ends, asked = (call('HGET', key, '@') or '0\n\n0\n'):match('^(%d+)\n([^\n]*)\n(%d+)\n(.*)$')
ends = tonumber(ends)
local another = held ~= fence
if fence == '0' then another = ends > now and node ~= ARGV[2] end
if another then
  if asked == '' and ends > now then call('HSET', key, '@', held .. '\n' .. node .. '\n' .. ends .. '\n1') end
  return {0, math.max(0, ends - now)}
end
if fence == '0' then
  fence = string.format('%.0f', math.max(micro, held + 1))
  asked = ''
end
call('HSET', key, '@', fence .. '\n' .. ARGV[2] .. '\n' .. now + ARGV[3] .. '\n' .. asked)

local seekers, adopting, hungry = {}, {}, 0
for i = 8, #ARGV, 3 do
  local device = ARGV[i + 1]
  local s = {device = device, plus = '+' .. device, minus = '-' .. device, index = (i - 8) / 3,
    named = ARGV[i] == 'n', room = tonumber(ARGV[i + 2])}
  local row = row_of[s.named and device or '*']
  s.adopts = s.named and (not row or row.behind)
  s.seeks = s.adopts or row and row.owed > 0
  if s.seeks then seekers[#seekers + 1] = s end
  if s.seeks and s.room > 0 then hungry = hungry + 1 end
  if s.adopts then adopting[#adopting + 1] = s end
end

local cursor, looked, bytes, more, ended = ARGV[5], 0, 0, 0, false
local version, most = tonumber(ARGV[6]), tonumber(ARGV[7])
local result = {tonumber(fence), 0, 0, 0, ''}

-- Who gets this message, and the marks with those that were added to them.
local function given(id, marks)
  local its_version, expires, kind = marks:match('^(%d+) (%d+) ([^\n]*)')
  if not expires or tonumber(expires) <= now then return '' end
  local readable, given_to, anybody, was = tonumber(its_version) <= version, '', at(marks, '+*'), marks
  for _, s in ipairs(seekers) do
    if s.adopts and not at(marks, s.plus) and not at(marks, s.minus) and not at(marks, '-*') then
      marks = marks .. '\n' .. s.plus
      owe(s.device, kind, 1)
    end
    local owed = at(marks, s.plus)
    if not s.named then owed = anybody and given_to == '' and not at(marks, s.minus) end
    if readable and owed then
      if s.room > 0 then
        given_to = given_to .. ' ' .. s.index
        s.room = s.room - 1
        if s.room == 0 then hungry = hungry - 1 end
      else
        more = 1
      end
    end
  end
  if marks ~= was then call('HSET', key, id .. '/', marks) end
  return given_to
end

while #seekers > 0 and not ended do
  if hungry == 0 and #adopting == 0 then
    more = 1
    break
  end
  if looked >= most then
    result[5] = cursor
    break
  end
  local found = call('ZRANGEBYSCORE', order, '(' .. cursor, '+inf', 'WITHSCORES', 'LIMIT', 0, 50)
  ended = #found < 100
  local fields = {}
  for i = 1, #found, 2 do fields[#fields + 1] = found[i] .. '/' end
  local all = #fields > 0 and call('HMGET', key, unpack(fields)) or {}
  for i, marks in ipairs(all) do
    local id = found[2 * i - 1]
    if marks and (hungry > 0 or #adopting > 0) then
      local given_to = given(id, marks)
      if given_to ~= '' then
        local message = call('HGET', key, id)
        result[#result + 1] = id
        result[#result + 1] = message
        result[#result + 1] = given_to
        bytes = bytes + #message
        if bytes > 1000000 then
          hungry = 0
          for _, s in ipairs(seekers) do s.room = 0 end
        end
      end
    elseif marks then
      more = 1
    end
  end
  if #found > 0 then cursor = found[#found] end
  looked = looked + #fields
end
for _, s in ipairs(adopting) do
  local row = row_for(s.device)
  row.behind = not ended and row.owed > 0
  row.known = row.known or ended
end
result[3], result[4] = finish(), more
return result
