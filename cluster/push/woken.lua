-- Remembers what became of the last push of each device of an address of record.
--
-- KEYS[1]  the hash: field = device, value = JSON
-- ARGV     seconds to keep it, how many devices, then device, value of each
local call, key, write = redis.call, KEYS[1], {}
for i = 3, #ARGV do write[#write + 1] = ARGV[i] end
call('HSET', key, unpack(write))
local over = call('HLEN', key) - tonumber(ARGV[2])
if over > 0 then
  local fresh = {}
  for i = 3, #ARGV, 2 do fresh[ARGV[i]] = true end
  for _, field in ipairs(call('HKEYS', key)) do
    if over > 0 and not fresh[field] then
      call('HDEL', key, field)
      over = over - 1
    end
  end
end
call('EXPIRE', key, ARGV[1])
return 1
