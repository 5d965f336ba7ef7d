-- Takes expired bindings out of one address of record.
--
-- KEYS[1]  the hash of its bindings (cluster/location/register.lua)
-- ARGV     key of the collectors' fence ("": none), fence, "1" to remember a user without bindings
-- Returns  -1: a greater fence is there, nothing is done; or the expired bindings (field, value, ...)
local call, key = redis.call, KEYS[1]
if ARGV[1] ~= '' then
  local known = tonumber(call('GET', ARGV[1]) or 0)
  if known > tonumber(ARGV[2]) then return -1 end
  if known < tonumber(ARGV[2]) then call('SET', ARGV[1], ARGV[2]) end
end
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stored = call('HGETALL', key)
local gone, fields, living, seen = {}, {}, 0, false
for i = 1, #stored, 2 do
  local field, value = stored[i], stored[i + 1]
  local message_expires = tonumber(value:match('^%d+\n%d+\n(%d+)\n'))
  if field == ':seen' then
    seen = true
  elseif field:sub(1, 1) ~= ':' then
    if message_expires and message_expires <= now then
      gone[#gone + 1] = field
      gone[#gone + 1] = value
      fields[#fields + 1] = field
    else
      living = living + 1  -- also what only a later version can read
    end
  end
end
if #fields == 0 then return gone end
if living == 0 and not seen and ARGV[3] == '1' then call('HSET', key, ':seen', '') end
call('HDEL', key, unpack(fields))
if living == 0 and ARGV[3] ~= '1' then call('DEL', key) end
return gone
