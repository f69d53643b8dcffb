"""The store's Lua scripts: Redis runs each one atomically.

The caller passes every key that a script uses. They need nothing newer than Redis 7.0.
"""

_FULL = """
local function full(concerns, states, open, room)
  for _, place in ipairs(cjson.decode(room)) do
    local waiting = 0
    local first, last = '[' .. place[1] .. ' ', '[' .. place[1] .. ' \\127'
    for _, pair in ipairs(redis.call('ZRANGEBYLEX', concerns, first, last)) do
      local id = string.match(pair, '%S+$')
      local state = redis.call('HGET', states, id) or ''
      if string.find(state, '^AWAITING_SECRET') and redis.call('SISMEMBER', open, id) == 1 then
        waiting = waiting + 1
        if waiting >= place[2] then return place[1] end
      end
    end
  end
end
"""

FULL = _FULL + "return full(KEYS[1], KEYS[2], KEYS[3], ARGV[1])"
"""Returns the first place where as many rotations wait for their secret as there is room for."""

SAVE = (
    _FULL
    + """
local record, audit, open, unshown, all, claim, fingerprints, due, concerns, states, revocations = unpack(KEYS)
local new, expected, last, entry, id, version, holds, over, created, made, fingerprint, gone, keys, state, room,
  waits, revoke = unpack(ARGV)
local old = redis.call('GET', record)
if old == new then return 'OK' end
local was = old and cjson.decode(old) or {}
local is = old and tostring(was.version) or ''
if is ~= expected then return 'CONFLICT' end
local holder = redis.call('GET', claim)
if holds == '1' and holder and holder ~= id then return 'TAKEN ' .. holder end
local place = not old and full(concerns, states, open, room)
if place then return 'FULL ' .. place end
if (redis.call('LINDEX', audit, -1) or '') ~= last then return 'MOVED' end
if holds == '1' then redis.call('SET', claim, id) end
if over == '1' then
  redis.call('SREM', open, id)
  redis.call('HDEL', states, id)
  if waits == '1' then redis.call('ZADD', due, 0, id) else redis.call('ZREM', due, id) end
  if holds == '0' and holder == id then redis.call('DEL', claim) end
else
  redis.call('SADD', open, id)
  redis.call('HSET', states, id, state)
  redis.call('ZADD', due, 0, id)
end
for _, key in ipairs(cjson.decode(keys)) do
  local pair = key .. ' ' .. id
  if over == '1' then redis.call('ZREM', concerns, pair) else redis.call('ZADD', concerns, 0, pair) end
end
redis.call('SET', record, new)
redis.call('RPUSH', audit, entry)
redis.call('ZADD', unshown, version, id)
redis.call('ZADD', all, created, id)
if revoke == '' then redis.call('ZREM', revocations, id) else redis.call('ZADD', revocations, revoke, id) end
if made ~= '' and fingerprint ~= '' then redis.call('HSET', fingerprints, made, fingerprint) end
for _, key in ipairs(cjson.decode(gone)) do redis.call('HDEL', fingerprints, key) end
return was.state == string.match(state, '%S+') and 'OK' or 'ENTERED'
"""
)

ENTERED = "ENTERED"
"""The answer of `SAVE` if the rotation was in another state before."""

END = """
return {redis.call('LINDEX', KEYS[1], -1) or '', redis.call('GET', KEYS[2]) or ''}
"""
"""Returns the last entry of the audit trail and a record, both of the same moment."""

MOVED = "MOVED"
"""The answer of a script if the audit trail does not end with the given entry."""

NOTE = """
local last, entry = unpack(ARGV)
local is = redis.call('LINDEX', KEYS[1], -1) or ''
if is == entry then return 'OK' end
if is ~= last then return 'MOVED' end
redis.call('RPUSH', KEYS[1], entry)
return 'OK'
"""

LABEL = """
local audit, labels = unpack(KEYS)
local last, entry, key, value = unpack(ARGV)
local is = redis.call('LINDEX', audit, -1) or ''
if is == entry then return 'OK' end
if is ~= last then return 'MOVED' end
redis.call('RPUSH', audit, entry)
if value == '' then redis.call('HDEL', labels, key) else redis.call('HSET', labels, key, value) end
return 'OK'
"""
"""Sets or removes the label of a provider key, with its entry in the audit trail."""

BATCH = """
local audit, record, open = unpack(KEYS)
local last, entry, expected, new, id, over = unpack(ARGV)
local old = redis.call('GET', record)
if old == new and redis.call('LINDEX', audit, -1) == entry then return 'OK' end
local is = old and tostring(cjson.decode(old).version) or ''
if is ~= expected then return 'CONFLICT' end
if (redis.call('LINDEX', audit, -1) or '') ~= last then return 'MOVED' end
redis.call('SET', record, new)
redis.call('RPUSH', audit, entry)
if over == '1' then redis.call('SREM', open, id) else redis.call('SADD', open, id) end
return 'OK'
"""
"""Writes a batch over the expected version, with its entry in the audit trail."""

HOLD = """
local lease, record = unpack(KEYS)
local token, version, milliseconds = unpack(ARGV)
if redis.call('GET', lease) ~= token then return {} end
if version ~= '' then
  local is = redis.call('GET', record)
  if not is or tostring(cjson.decode(is).version) ~= version then return {} end
end
redis.call('PEXPIRE', lease, milliseconds)
return redis.call('TIME')
"""
"""Renews a lease and returns the time, if the caller still holds it."""

RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""

SHOWN = """
local unshown, id, version = KEYS[1], ARGV[1], tonumber(ARGV[2])
local wanted = redis.call('ZSCORE', unshown, id)
if wanted and tonumber(wanted) <= version then redis.call('ZREM', unshown, id) end
"""

SET_DUE = """
local record, due, concerns, states = unpack(KEYS)
local id, version, at, keys, state = unpack(ARGV)
local is = redis.call('GET', record)
if not is or tostring(cjson.decode(is).version) ~= version then return end
if at == '' then redis.call('ZREM', due, id) else redis.call('ZADD', due, at, id) end
if state == '' then return end
redis.call('HSET', states, id, state)
for _, key in ipairs(cjson.decode(keys)) do redis.call('ZADD', concerns, 0, key .. ' ' .. id) end
"""

FIGURES = """
local open, states, due, queued, active = unpack(KEYS)
local rotations = {}
local fields = redis.call('HGETALL', states)
for i = 1, #fields, 2 do
  if redis.call('SISMEMBER', open, fields[i]) == 1 then
    local state, since = string.match(fields[i + 1], '^(%S+) ?(%d*)$')
    local found = rotations[state] or {state, 0, ''}
    rotations[state] = found
    found[2] = found[2] + 1
    if since ~= '' and (found[3] == '' or tonumber(since) < tonumber(found[3])) then found[3] = since end
  end
end
local listed = {}
for _, found in pairs(rotations) do table.insert(listed, found) end
return {
  redis.call('SCARD', open), redis.call('ZCOUNT', due, '-inf', ARGV[1]),
  redis.call('LLEN', queued), redis.call('LLEN', active), listed
}
"""
"""Counts what is open, by state with the time of the oldest, and what is due, queued and in hand; reads no record."""
