-- Cuts a dead push token out of the bindings of an address of record (stored form: cluster/location/binding.py).
--
-- KEYS[1]  the hash of the bindings: field = device key, value = seven head lines and a tail
-- ARGV     channel, token, ms since when the token is dead (0: unknown), ms when the token that was tried had
--          been registered
-- Returns  in how many bindings it was; one that registered since keeps it, for its token may live again
--
-- The publication names no device: nobody registered, but whoever waits reads the record again.
local call, key, token = redis.call, KEYS[1], ARGV[2]
local dead, tried = tonumber(ARGV[3]), tonumber(ARGV[4])
local stored, count = call('HGETALL', key), 0
for i = 1, #stored, 2 do
  local times, registered, middle, prid, tail =
    stored[i + 1]:match('^(%d+\n%d+\n%d+\n)(%d+)(\n%d+\n[^\n]*\n)([^\n]*)(\n.*)$')
  registered = tonumber(registered)
  local first, last
  if registered then first, last = prid:find(token, 1, true) end
  if first and (dead > 0 and registered < dead or dead == 0 and registered <= tried) then
    while first do
      prid = prid:sub(1, first - 1) .. '-' .. prid:sub(last + 1)
      first, last = prid:find(token, first + 1, true)
    end
    call('HSET', key, stored[i], times .. registered .. middle .. prid .. tail)
    count = count + 1
  end
end
if count > 0 then call('PUBLISH', ARGV[1], '') end
return count
