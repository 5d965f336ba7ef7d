-- Give a dispatcher what comes after its cursor, and note that it has it.
--
-- KEYS[1]  the stream
-- ARGV     fence, node, cursor (an entry id), how many at most, ms that a seizure by a node lasts
-- Returns  the greatest fence seen, the store's time in ms, the entry that was looked at last, then entry and
--          push of each that is given. A fence smaller than the first number is refused: nothing is given.
--
-- `:term` holds the fence, when its dispatcher was last heard of (alive) and its node. A push that another
-- node seized a short while ago is passed over.
local call, key = redis.call, KEYS[1]
local term, claims = key .. ':term', key .. ':claims'
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fence = tonumber(ARGV[1])
local known = tonumber(call('HGET', term, 'fence') or '0')
if known > fence then return {known, now, ARGV[3]} end
call('HSET', term, 'fence', ARGV[1], 'alive', now, 'node', ARGV[2])
local found = call('XRANGE', key, '(' .. ARGV[3], '+', 'COUNT', ARGV[4])
local given, marks = {fence, now, ARGV[3]}, {}
for _, item in ipairs(found) do
  local entry, push = item[1], item[2][4]
  given[3] = entry
  local kind, node, since = (call('HGET', claims, entry) or ''):match('^(%a)|([^|]*)|(%d+)$')
  if not (kind == 's' and node ~= ARGV[2] and now - tonumber(since) < tonumber(ARGV[5])) then
    given[#given + 1] = entry
    given[#given + 1] = push
    marks[#marks + 1] = entry
    marks[#marks + 1] = 'd|' .. ARGV[2] .. '|' .. now
  end
end
if #marks > 0 then call('HSET', claims, unpack(marks)) end
return given
