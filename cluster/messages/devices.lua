-- What the scripts of this room share; it is put before each of those that change who is owed what.
--
-- KEYS[1]  the queue of an address of record, a hash; beside it :order, a sorted set (id -> rank * 2^48 + sequence)
--            <id>       the message (cluster/messages/record.py)
--            <id>/      its marks: "version expires kind", then a line for each device, "+device" (owed) or
--                       "-device" (not any more); "+*": anybody; "-*": nobody who is not named here
--            <id>!      final statuses of tries, lines "status device"; only where there were bad ones
--            =<device>  how many messages it is owed; =<device> LF kind: how many of that kind
--            ?<device>  it is owed something, and may be missing in the marks of other messages
--            :devices   lines "+device" (owed something), "-device" (knows all messages, owed nothing);
--                       who is not listed has to be looked for in all marks when it comes
--            #          the last sequence
--            @          the claim: fence LF node LF ms until when LF "1" if another asked for it
-- ARGV[1]  the hash of its bindings; its field :messages is a copy of :devices, where that hash exists
local call, key, place = redis.call, KEYS[1], ARGV[1]
local order = key .. ':order'
local listed = call('HGET', key, ':devices') or ''
local before, left = listed, 0

-- Where that line begins, or nil.
local function at(lines, line)
  return (('\n' .. lines .. '\n'):find('\n' .. line .. '\n', 1, true))
end

local function without(lines, line)
  local p = at(lines, line)
  if not p then return lines end
  if p == 1 then return lines:sub(#line + 2) end
  return lines:sub(1, p - 2) .. lines:sub(p + #line)
end

local function signed(lines, p, sign) return lines:sub(1, p - 1) .. sign .. lines:sub(p + 1) end

-- The sign of a device in :devices becomes this one; '' takes it out.
local function list(device, sign)
  if sign == '' then
    listed = without(without(listed, '+' .. device), '-' .. device)
  elseif not at(listed, sign .. device) then
    local p = at(listed, (sign == '+' and '-' or '+') .. device)
    if p then listed = signed(listed, p, sign)
    else listed = (listed == '' and '' or listed .. '\n') .. sign .. device end
  end
end

-- One message more (1) or less (-1) that a device is owed. Returns how many of that kind.
local function owe(device, kind, by)
  local count, alike = '=' .. device, 0
  if kind ~= '' then
    alike = call('HINCRBY', key, count .. '\n' .. kind, by)
    if alike <= 0 then call('HDEL', key, count .. '\n' .. kind) end
  end
  local all = call('HINCRBY', key, count, by)
  if all <= 0 then
    local behind = call('HDEL', key, '?' .. device) == 1
    call('HDEL', key, count)
    list(device, (behind or device == '*') and '' or '-')
  elseif all == by then
    list(device, '+')
  end
  return alike
end

-- A message leaves the queue.
local function leave(id)
  call('HDEL', key, id, id .. '/', id .. '!')
  left = left + call('ZREM', order, id)
end

-- The last thing a script does: an empty queue leaves no key, and the copy of :devices is kept. Returns 1
-- where that changed, so that the record of the bindings has to leave the cache of the node, else 0.
local function finish()
  if left > 0 and call('EXISTS', order) == 0 then
    call('DEL', key)
    listed = ''
  elseif listed == before then
    return 0
  else
    call('HSET', key, ':devices', listed)
  end
  if listed == '' then return call('HDEL', place, ':messages') end
  if call('EXISTS', place) == 0 then return 0 end
  call('HSET', place, ':messages', listed)
  return 1
end
