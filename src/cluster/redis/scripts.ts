/**
 * What happens in Redis, each of it in one step. Every key and channel begins with `KEYS[1]`, whose braces
 * keep a whole cluster of gateways in one slot: positions are one order over all contracts, and only one server
 * can keep it.
 *
 * | key | what |
 * | --- | --- |
 * | `epoch` | of the data: a new one where Redis has come back empty |
 * | `offset` | the last position that was given |
 * | `fence` | `number:gateway`: only who holds this very text may write |
 * | `lease` | the gateway that has the upstream, for as long as it says so |
 * | `members`, `infos` | the gateways: until when each counts as there, and what it says of itself |
 * | `wishes:<gateway>` | the contracts that it wants |
 * | `c:<contract>` | hash: `state`, `status` (where newer than the state), `seq`, `proven`; also the channel |
 */

/** Positions of changes are this far apart, so that a gateway has room between them for what only it tells. */
const OFFSET_STEP = 16;
/** What is known of a contract that nobody wants any more, its numbers above all, is kept for so long. */
const FORGET_MS = 7 * 86_400_000;
/** IME's refusal of a contract that nobody wants any more is kept for so long. */
const REFUSED_MS = 60_000;

const PREAMBLE = `
local P, publish = KEYS[1], ARGV[1]
local function microseconds()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end
local function text(n) return string.format('%.0f', n) end
local last, now
local function nextOffset()
  if not last then
    last = tonumber(redis.call('GET', P .. 'offset') or '0')
    now = math.floor(microseconds() / ${OFFSET_STEP}) * ${OFFSET_STEP}
  end
  last = math.max(last + ${OFFSET_STEP}, now)
  return last
end
local function keepOffset()
  if last then redis.call('SET', P .. 'offset', text(last)) end
end
local function tell(channel, message) redis.call(publish, channel, message) end
local function putStatus(contract, status, cause)
  local message = text(nextOffset()) .. ' 0 T' .. status .. ' ' .. cause
  redis.call('HSET', contract, 'status', message)
  if status == 'INVALID' then redis.call('HDEL', contract, 'proven') end
  tell(contract, message)
end
`;

/** Says that a gateway is there, renews its lease, and says who else is there. */
const BEAT = `${PREAMBLE}
local id, info, fresh, fence, leaseMs, lifeMs, probe = unpack(ARGV, 2)
local nowMs = math.floor(microseconds() / 1000)
redis.call('SET', P .. 'epoch', fresh, 'NX')
redis.call('ZADD', P .. 'members', nowMs + lifeMs, id)
redis.call('HSET', P .. 'infos', id, info)
redis.call('PEXPIRE', P .. 'wishes:' .. id, lifeMs)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', P .. 'members', '-inf', nowMs)) do
  redis.call('ZREM', P .. 'members', gone)
  redis.call('HDEL', P .. 'infos', gone)
  redis.call('DEL', P .. 'wishes:' .. gone)
end
local lease = redis.call('GET', P .. 'lease')
if fence ~= '' and redis.call('GET', P .. 'fence') == fence and (not lease or lease == id) then
  redis.call('SET', P .. 'lease', id, 'PX', leaseMs)
  lease = id
end
tell(P .. 'g:' .. id, 'P' .. probe)
local reply = {
  redis.call('GET', P .. 'epoch'), redis.call('GET', P .. 'offset') or '0', lease or '',
  redis.call('PTTL', P .. 'lease'), redis.call('GET', P .. 'fence') or '',
}
for _, one in ipairs(redis.call('ZRANGE', P .. 'members', 0, -1)) do
  reply[#reply + 1] = one
  reply[#reply + 1] = redis.call('HGET', P .. 'infos', one) or '{}'
  reply[#reply + 1] = redis.call('SCARD', P .. 'wishes:' .. one)
end
return reply
`;

/** Where nobody has the lease: takes it, or only says so (\`takes\` is 0), and turns what was LIVE to STALE. */
const TAKE = `${PREAMBLE}
local id, takes, leaseMs, cause = unpack(ARGV, 2)
if redis.call('EXISTS', P .. 'lease') == 1 then return {} end
local number = tonumber(string.match(redis.call('GET', P .. 'fence') or '0', '^%d+')) + 1
local fence = text(number) .. ':' .. id
redis.call('SET', P .. 'fence', fence)
if takes == '1' then redis.call('SET', P .. 'lease', id, 'PX', leaseMs) end
local reply, flags = { fence }, {}
for _, one in ipairs(redis.call('ZRANGE', P .. 'members', 0, -1)) do
  for _, key in ipairs(redis.call('SMEMBERS', P .. 'wishes:' .. one)) do
    if not flags[key] then
      local contract = P .. 'c:' .. key
      local known = redis.call('HMGET', contract, 'state', 'status', 'proven')
      local told = known[2] and string.match(known[2], '^%d+ 0 T(%u+)')
      if known[1] and told ~= 'STALE' and told ~= 'INVALID' then putStatus(contract, 'STALE', cause) end
      flags[key] = told == 'INVALID' and 'refused' or known[3] and 'proven' or 'new'
    end
    reply[#reply + 1] = one
    reply[#reply + 1] = key
    reply[#reply + 1] = flags[key]
  end
end
keepOffset()
return reply
`;

/** Gives the lease back. */
const LEAVE = `${PREAMBLE}
local id, fence = unpack(ARGV, 2)
redis.call('ZREM', P .. 'members', id)
redis.call('HDEL', P .. 'infos', id)
redis.call('DEL', P .. 'wishes:' .. id)
tell(P .. 'wishes', '=' .. id .. '\\n""')
if fence ~= '' and redis.call('GET', P .. 'fence') == fence and redis.call('GET', P .. 'lease') == id then
  redis.call('DEL', P .. 'lease')
  tell(P .. 'all', 'vacant')
end
return 1
`;

/** Writes what the holder's source tells: kind, contract and text, three by three. Fails for who holds it no more. */
const WRITE = `${PREAMBLE}
if redis.call('GET', P .. 'fence') ~= ARGV[2] then return redis.error_reply('FENCED another gateway holds it') end
for i = 3, #ARGV, 3 do
  local kind, key, body = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local contract = P .. 'c:' .. key
  if kind == 'S' then
    local sequence = redis.call('HINCRBY', contract, 'seq', 1)
    local message = text(nextOffset()) .. ' ' .. sequence .. ' S' .. body
    redis.call('HSET', contract, 'state', message)
    redis.call('HDEL', contract, 'status')
    tell(contract, message)
  elseif kind == 'T' then
    local status, cause = string.match(body, '^(%u+) (.*)$')
    local hasState = redis.call('HEXISTS', contract, 'state') == 1
    if status == 'PENDING' and hasState then
      status = not string.find(cause, '"AWAITING_STATE"', 1, true) and 'STALE'
    elseif status == 'STALE' and not hasState then
      status = 'PENDING'
    end
    if status then putStatus(contract, status, cause) end
  elseif kind == 'A' then
    redis.call('HSET', contract, 'proven', 1)
    tell(contract, '0 0 A')
  elseif kind == 'D' then
    local isRefused = string.find(redis.call('HGET', contract, 'status') or '', ' TINVALID ', 1, true)
    if not isRefused then redis.call('HDEL', contract, 'state', 'status') end
    redis.call('PEXPIRE', contract, isRefused and ${REFUSED_MS} or ${FORGET_MS})
  end
end
keepOffset()
return 1
`;

/**
 * A gateway wants contracts, the number of the last state that it knows beside each. What is stored of them
 * comes on its own channel, so that it stands in one order with all else that it hears.
 */
const WANT = `${PREAMBLE}
local id, asker, mode, lifeMs, token = unpack(ARGV, 2)
local wishes = P .. 'wishes:' .. id
if mode == '=' then redis.call('DEL', wishes) end
local wanted, again = {}, {}
for i = 7, #ARGV, 2 do
  local key, floor = ARGV[i], tonumber(ARGV[i + 1])
  local contract = P .. 'c:' .. key
  wanted[#wanted + 1] = key
  redis.call('SADD', wishes, key)
  redis.call('PERSIST', contract)
  if floor > tonumber(redis.call('HGET', contract, 'seq') or '0') then
    redis.call('HSET', contract, 'seq', floor)
    if redis.call('HEXISTS', contract, 'state') == 1 then again[#again + 1] = key end
  end
end
redis.call('PEXPIRE', wishes, lifeMs)
tell(P .. 'wishes', mode .. id .. '\\n' .. asker .. '\\n' .. table.concat(wanted, '\\n'))
if #again > 0 then tell(P .. 'wishes', '!' .. id .. '\\n""\\n' .. table.concat(again, '\\n')) end
local own = P .. 'g:' .. id
for _, key in ipairs(wanted) do
  local known = redis.call('HMGET', P .. 'c:' .. key, 'state', 'status', 'proven')
  tell(own, 'K' .. text(nextOffset()) .. ' ' .. (known[3] or '0') .. ' ' .. key)
  if known[1] then tell(own, 'V' .. known[1]) end
  if known[2] then tell(own, 'V' .. known[2]) end
end
keepOffset()
tell(own, 'E' .. token)
return 1
`;

/** A gateway wants contracts no more. */
const UNWANT = `${PREAMBLE}
local id = ARGV[2]
for i = 3, #ARGV do redis.call('SREM', P .. 'wishes:' .. id, ARGV[i]) end
tell(P .. 'wishes', '-' .. id .. '\\n""\\n' .. table.concat(ARGV, '\\n', 3))
return 1
`;

/** Somebody else asks for contracts that a gateway wants already. */
const ASKED = `${PREAMBLE}
tell(P .. 'wishes', '?' .. ARGV[2] .. '\\n' .. ARGV[3] .. '\\n' .. table.concat(ARGV, '\\n', 4))
return 1
`;

/** What a gateway wants. */
const WISHES = `return redis.call('SMEMBERS', KEYS[1] .. 'wishes:' .. ARGV[2])`;

/** Every script, by its name. */
export const SCRIPTS = {
  beat: BEAT,
  take: TAKE,
  leave: LEAVE,
  write: WRITE,
  want: WANT,
  unwant: UNWANT,
  asked: ASKED,
  wishes: WISHES,
};

/** The name of a script. */
export type ScriptName = keyof typeof SCRIPTS;
