-- One REGISTER (RFC 3261 10.3), atomically, on the one key of an address of record.
--
-- KEYS[1]  the hash: field = device key, value = head lines and tail (see cluster/location/binding.py)
-- ARGV     channel, max_contacts, wildcard ("1" or "0"), call_id, cseq, ms that the key outlives its bindings,
--          then per contact: device key, ttl ms (0 removes), message ttl ms, prid, version, tail
-- Returns  status (0 done, 1 refused for its CSeq, 2 refused for too many contacts), the store's time in ms,
--          the other surviving records (field, value, ...), the device keys that had to go, the marker of
--          stored messages ("": nothing is stored); or the time alone: done, there are no others, none had to
--          go, and nothing is stored
--
-- The contacts of the request itself are not sent back: the caller knows them. No JSON is looked into.
--
-- Fields that begin with ":" are no bindings. ":messages" is the marker: a copy of what the queue of stored
-- messages says of its devices (cluster/messages/devices.lua), so that who reads the bindings knows of them.
-- Whoever changes the queue changes the marker while this hash exists: only a new hash asks the queue. ":seen"
-- stands for a user who has registered and whose bindings are all gone.
--
-- An expired binding is left to the collector, which tells that it expired; long after that it goes at once.
local call, key = redis.call, KEYS[1]
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stored = call('HGETALL', key)
local marker = ''
if #stored == 0 then
  marker = call('HGET', key:gsub(':aor:{', ':messages:{', 1), ':devices') or ''
end

-- Nearly every REGISTER makes or refreshes the only binding there is. This does for it what the rest of the
-- script would do, without tables and closures, in two thirds of the time.
if #ARGV == 12 and ARGV[8] ~= '0' and ARGV[3] == '0' and ARGV[2] ~= '0'
  and (#stored == 0 and marker == '' or #stored == 2 and stored[1] == ARGV[7]) then
  local early = false
  if stored[2] then
    local message_expires, cseq, call_id = stored[2]:match('^%d+\n%d+\n(%d+)\n%d+\n(%d+)\n([^\n]*)\n')
    early = call_id == ARGV[4] and tonumber(cseq) >= tonumber(ARGV[5]) and tonumber(message_expires) > now
  end
  if not early then
    local expires, latest = now + ARGV[8], now + ARGV[9]
    if latest < expires then latest = expires end
    call('HSET', key, ARGV[7], ARGV[11] .. '\n' .. expires .. '\n' .. latest .. '\n' .. now .. '\n' .. ARGV[5]
      .. '\n' .. ARGV[4] .. '\n' .. ARGV[10] .. '\n' .. ARGV[12])
    call('PEXPIREAT', key, latest + ARGV[6])
    call('PUBLISH', ARGV[1], ARGV[7])
    call('EXISTS', key)  -- to be told of the next change: see the end
    return now
  end
end

local channel, max, wildcard = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local call_id, cseq, keep = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local LONG_AGO = 600000  -- ms
local HEAD = '^%d+\n(%d+)\n(%d+)\n(%d+)\n(%d+)\n([^\n]*)\n([^\n]*)\n'

local mine, adding = {}, 0
for i = 7, #ARGV, 6 do
  mine[ARGV[i]] = i
  if ARGV[i + 1] ~= '0' then adding = adding + 1 end
end

local function same_device(a, b)
  local instance = a:match('^(.*);reg%-id=%d+$')
  return instance and instance == b:match('^(.*);reg%-id=%d+$')
end

-- What is there: drop the expired, refuse what is out of order, remember the rest.
local others, dropped, latest = {}, {}, 0
local refused = adding > max and 2 or 0
for i = 1, #stored, 2 do
  local field, value = stored[i], stored[i + 1]
  local _, _, _, message_expires, registered, known_cseq, known_call, prid = value:find(HEAD)
  message_expires = tonumber(message_expires)
  if field == ':messages' then
    marker = value
  elseif field == ':seen' then
    dropped[#dropped + 1] = field
  elseif not message_expires or message_expires <= now - (mine[field] and 0 or math.min(keep, LONG_AGO)) then
    dropped[#dropped + 1] = field
  elseif message_expires > now then
    local asked = wildcard or mine[field] ~= nil
    if asked and known_call == call_id and tonumber(known_cseq) >= cseq then refused = 1 end
    others[#others + 1] = {field, value, message_expires, tonumber(registered), prid, asked}
  end
end

if refused ~= 0 then
  local flat = {}
  for _, record in ipairs(others) do
    flat[#flat + 1] = record[1]
    flat[#flat + 1] = record[2]
  end
  return {refused, now, flat, {}, marker}
end

-- The same push token under another device key is the same app reinstalled: the older binding goes. Two
-- flows of one device (RFC 5626 reg-id) share their token and both stay.
local evicted, kept = {}, {}
for _, record in ipairs(others) do
  local field, prid = record[1], record[5]
  if record[6] then
    if not mine[field] then dropped[#dropped + 1] = field end
  else
    local replaced = false
    if prid ~= '' then
      for i = 7, #ARGV, 6 do
        if ARGV[i + 3] == prid and ARGV[i + 1] ~= '0' and not same_device(ARGV[i], field) then
          replaced = true
        end
      end
    end
    if replaced then
      dropped[#dropped + 1] = field
      evicted[#evicted + 1] = field
    else
      kept[#kept + 1] = record
    end
  end
end

-- Too many contacts: those go that registered longest ago, never one of this request.
if #kept + adding > max then
  table.sort(kept, function(a, b) return a[4] > b[4] end)
  while #kept + adding > max do
    local field = table.remove(kept)[1]
    dropped[#dropped + 1] = field
    evicted[#evicted + 1] = field
  end
end

local write, published = {}, {}
for i = 7, #ARGV, 6 do
  local field, ttl, message_ttl = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  if ttl == 0 then
    dropped[#dropped + 1] = field
  elseif mine[field] == i then
    if message_ttl < ttl then message_ttl = ttl end
    if now + message_ttl > latest then latest = now + message_ttl end
    write[#write + 1] = field
    write[#write + 1] = ARGV[i + 4] .. '\n' .. now + ttl .. '\n' .. now + message_ttl .. '\n' .. now .. '\n'
      .. ARGV[5] .. '\n' .. call_id .. '\n' .. ARGV[i + 3] .. '\n' .. ARGV[i + 5]
    published[#published + 1] = field
  end
end

local flat = {}
for _, record in ipairs(kept) do
  if record[3] > latest then latest = record[3] end
  flat[#flat + 1] = record[1]
  flat[#flat + 1] = record[2]
end

if #dropped > 0 and #stored > 0 then call('HDEL', key, unpack(dropped)) end
if #write > 0 then call('HSET', key, unpack(write)) end
if latest == 0 and (#stored > 0 or marker ~= '') and keep > 0 then
  call('HSET', key, ':seen', '')
  latest = now
end
if latest > 0 then
  if marker ~= '' then call('HSET', key, ':messages', marker) end
  call('PEXPIREAT', key, latest + keep)
elseif marker ~= '' then
  call('HDEL', key, ':messages')
end
if #published > 0 then call('PUBLISH', channel, table.concat(published, '\n')) end
-- Redis forgets whom to tell about a key once it has changed: read it again, so that the caller, who puts
-- what it is told here into its cache, hears of the next change (cluster/location/cache.py).
call('EXISTS', key)
return {0, now, flat, evicted, marker}
