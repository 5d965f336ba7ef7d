-- Pushes that nobody cares for: whoever queued them is gone, and no dispatcher lives.
--
-- KEYS[1]  the stream
-- ARGV     node, ms after which a silent dispatcher counts as dead, ms that a seizure lasts, least age in ms,
--          how many at most
-- Returns  entry and push of each; they are this node's to send now
local call, key = redis.call, KEYS[1]
local claims = key .. ':claims'
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now - tonumber(call('HGET', key .. ':term', 'alive') or '0') <= tonumber(ARGV[2]) then return {} end
local given = {}
for _, item in ipairs(call('XRANGE', key, '-', now - tonumber(ARGV[4]), 'COUNT', ARGV[5])) do
  local entry = item[1]
  local kind, node, since = (call('HGET', claims, entry) or ''):match('^(%a)|([^|]*)|(%d+)$')
  if not (kind == 's' and now - tonumber(since) <= tonumber(ARGV[3])) then
    call('HSET', claims, entry, 's|' .. ARGV[1] .. '|' .. now)
    given[#given + 1] = entry
    given[#given + 1] = item[2][4]
  end
end
return given
