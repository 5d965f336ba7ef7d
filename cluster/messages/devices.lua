-- What the scripts of this room share; it is put before each of those that change who is owed what.
--
-- KEYS[1]  the queue of an address of record, a hash; beside it :order, a sorted set (id -> rank * 2^48 + sequence)
--            <id>       the message (cluster/messages/record.py)
--            <id>/      its marks: "version expires kind", then a line for each device, "+device" (owed) or
--                       "-device" (not any more); "+*": anybody; "-*": nobody who is not named here
--            <id>!      final statuses of tries, lines "status device"; only where there were bad ones
--            :devices   lines "+device" (owed something), "-device" (knows all messages, owed nothing);
--                       who is not listed has to be looked for in all marks when it comes
--            :counts    the last sequence, then a word for each line of :devices: how many messages it is
--                       owed, "?" if it may be missing in the marks of others, ",kind=n" for each kind
--            @          the claim: fence LF node LF ms until when LF "1" if another asked for it
-- ARGV[1]  the hash of its bindings; its field :messages is a copy of :devices, where that hash exists
-- ARGV[2]  the id of a message, in scripts that are about one
local call, key, place = redis.call, KEYS[1], ARGV[1]
local order = key .. ':order'
local read = call('HMGET', key, ':devices', ':counts', ARGV[2] .. '/')
local before, counts, marks_of_first = read[1] or '', read[2] or '0', read[3]
local left = 0

-- A row for each device. It is listed while it is owed something or `known`.
local words = counts:gmatch('%S+')
local sequence, rows, row_of = tonumber(words()), {}, {}
for line in before:gmatch('[^\n]+') do
  local owed, behind, kinds = (words() or '0'):match('^(%d+)(%??)(.*)$')
  local row = {device = line:sub(2), owed = tonumber(owed), behind = behind ~= '', kinds = kinds, known = true}
  rows[#rows + 1] = row
  row_of[row.device] = row
end

local function row_for(device)
  local row = row_of[device]
  if not row then
    row = {device = device, owed = 0, behind = false, kinds = '', known = false}
    rows[#rows + 1] = row
    row_of[device] = row
  end
  return row
end

-- Where that line begins, or nil.
local function at(lines, line)
  return (('\n' .. lines .. '\n'):find('\n' .. line .. '\n', 1, true))
end

local function signed(lines, p, sign) return lines:sub(1, p - 1) .. sign .. lines:sub(p + 1) end

-- One message more (1) or less (-1) that a device is owed. Returns how many of that kind.
local function owe(device, kind, by)
  local row, alike = row_for(device), 0
  row.owed = row.owed + by
  if kind ~= '' then
    local from, to, n = row.kinds:find(',' .. kind:gsub('%p', '%%%0') .. '=(%d+)')
    alike = (tonumber(n) or 0) + by
    local word = alike > 0 and ',' .. kind .. '=' .. alike or ''
    row.kinds = from and row.kinds:sub(1, from - 1) .. word .. row.kinds:sub(to + 1) or row.kinds .. word
  end
  if row.owed <= 0 then
    row.known = not row.behind and device ~= '*'
    row.owed, row.kinds, row.behind = 0, '', false
  end
  return alike
end

-- A message leaves the queue.
local function leave(id)
  call('HDEL', key, id, id .. '/', id .. '!')
  left = left + call('ZREM', order, id)
end

-- The last thing a script does: writes what has changed, and these fields; an empty queue leaves no key.
-- Returns 1 where the copy of :devices changed, so that the record of the bindings has to leave the cache of
-- the node, else 0.
local function finish(...)
  if left > 0 and call('EXISTS', order) == 0 then
    call('DEL', key)
    return call('HDEL', place, ':messages')
  end
  local lines, numbers, write = {}, {sequence}, {...}
  for _, row in ipairs(rows) do
    if row.owed > 0 or row.known then
      lines[#lines + 1] = (row.owed > 0 and '+' or '-') .. row.device
      numbers[#numbers + 1] = row.owed .. (row.behind and '?' or '') .. row.kinds
    end
  end
  local after, after_counts = table.concat(lines, '\n'), table.concat(numbers, ' ')
  if after_counts ~= counts then
    write[#write + 1] = ':counts'
    write[#write + 1] = after_counts
  end
  if after ~= before then
    write[#write + 1] = ':devices'
    write[#write + 1] = after
  end
  if #write > 0 then call('HSET', key, unpack(write)) end
  if after == before or call('EXISTS', place) == 0 then return 0 end
  call('HSET', place, ':messages', after)
  return 1
end
