"""What Redis does in one step, in Lua (Redis 6.2 or newer, Valkey).

A script runs alone: what it reads is still true when it writes. That makes counters, breaker,
stream and wake-ups of one try one transaction, in one round trip.
"""

import hashlib
from typing import Final

from pushtasks.store import keys


class Script:
    """A Lua script and the name by which Redis remembers it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


#: A function for other scripts: milliseconds since 1970, with fractions.
CLOCK: Final = """
local function clock()
    local time = redis.call('TIME')
    return time[1] * 1000 + time[2] / 1000
end
"""

_CONSTANTS: Final = f"""
local MINUTES, MINUTES_SLOT, MINUTES_AGE = '{keys.MINUTES}', {keys.MINUTES_SLOT}, {keys.MINUTES_AGE}
local ACCEPTED_AT = '{keys.ACCEPTED_AT}'
-- What the minutes tell apart, by counter of the report, beside rejections for whatever reason.
local KINDS = {{accepted = 'accepted', late = 'rejected', not_sent = 'unsent',
    maybe_sent = 'unsent'}}
"""

#: A function that notes one tally, for the scripts that do.
#:
#: KEYS: stream, lost, report, reports, breaker, dead, three alarms (breaker, full, lost), then a
#: wake-up for each consumer.
#: ARGV: a JSON object (see `tallies.script_arguments`), parsed in `head`, then four for each of the
#: news: "plain", "expired" or "suspicious"; score and member for the known-dead; the news as JSON.
#: Returns: see `tallies.Noted`.
TELL: Final = (
    _CONSTANTS
    + """
local function tell(KEYS, ARGV, head)
local stream, lost, report, reports, breaker, dead = unpack(KEYS, 1, 6)
local ALARMS, CONSUMERS, NEWS = 7, 10, 2
local now = tonumber(redis.call('TIME')[1])

local function alarm(place, seconds)
    return redis.call('SET', KEYS[place], '1', 'NX', 'EX', seconds) and 1 or 0
end

local function count(name, amount)
    if string.sub(name, 1, 9) == 'rejected:' and redis.call('HEXISTS', report, name) == 0
            and redis.call('HLEN', report) >= head.reasons_limit then
        name = 'rejected:other'
    end
    redis.call('HINCRBY', report, name, amount)
end

-- Counts what became of pushes in this minute. The first count of a minute does what is to be done
-- once in it.
local function count_minute(kind, amount)
    local minute = math.floor(now / 60)
    local slot = MINUTES .. head.name .. ':' .. math.floor(minute / MINUTES_SLOT)
    if redis.call('HINCRBY', slot, minute .. ':' .. kind, amount) ~= amount then return end
    redis.call('EXPIRE', slot, MINUTES_AGE)
    if kind == 'accepted' and amount > 0 then redis.call('HSET', report, ACCEPTED_AT, now) end
end

-- Counts the judged pushes of two buckets of time, and returns how many of them are suspicious.
local function window(suspicious)
    local bucket = math.floor(now / head.bucket)
    local names = {'bucket', 'suspicious', 'judged', 'suspicious_before', 'judged_before'}
    local seen = redis.call('HMGET', breaker, unpack(names))
    for place = 1, 5 do seen[place] = tonumber(seen[place] or 0) end
    if seen[1] ~= bucket then
        local is_next = seen[1] == bucket - 1
        seen = {bucket, 0, 0, is_next and seen[2] or 0, is_next and seen[3] or 0}
    end
    seen[2], seen[3] = seen[2] + suspicious, seen[3] + head.judged
    redis.call('HSET', breaker, 'bucket', seen[1], 'suspicious', seen[2], 'judged', seen[3],
        'suspicious_before', seen[4], 'judged_before', seen[5])
    redis.call('EXPIRE', breaker, 2 * head.bucket)
    return seen[2] + seen[4], seen[3] + seen[5]
end

local function is_after(id, other)
    local ms, seq = string.match(id, '(%d+)-(%d+)')
    local other_ms, other_seq = string.match(other, '(%d+)-(%d+)')
    ms, other_ms = tonumber(ms), tonumber(other_ms)
    return ms > other_ms or (ms == other_ms and tonumber(seq) > tonumber(other_seq))
end

-- Returns the groups of the stream, each with its name and the last id that it was given.
local function groups()
    local found = {}
    for _, fields in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
        local group = {}
        for place = 1, #fields, 2 do group[fields[place]] = fields[place + 1] end
        table.insert(found, {name = group['name'], last = group['last-delivered-id']})
    end
    return found
end

local function unread_by(group, id)
    return is_after(id, group.last)
        or #redis.call('XPENDING', stream, group.name, id, id, 1) > 0
end

-- Returns the name of a group that has not read an entry, '-' if there is no group, else nil.
local function reader_missing(all, id)
    if #all == 0 then return '-' end
    for _, group in ipairs(all) do
        if unread_by(group, id) then return group.name end
    end
end

-- Trims the stream; returns how many went unread, and who should have read them.
local function trim(all)
    local over = redis.call('XLEN', stream) - head.length
    if over <= 0 then return 0, '' end
    local unread, reader = 0, ''
    for _, entry in ipairs(redis.call('XRANGE', stream, '-', '+', 'COUNT', over)) do
        local missing = reader_missing(all, entry[1])
        if missing then unread, reader = unread + 1, missing end
    end
    redis.call('XTRIM', stream, 'MAXLEN', '=', head.length)
    if unread > 0 then redis.call('INCRBY', lost, unread) end
    return unread, reader
end

-- Warns of an unread end of a stream that is nearly full, or tells what had to go unread.
local function keep_bounded()
    local size = redis.call('XLEN', stream)
    if size < head.nearly_full then return 0, 0, '' end
    local all = groups()
    local unread, reader = trim(all)
    if unread > 0 then
        return alarm(ALARMS + 2, head.stream_pause) * unread, 0, reader
    end
    local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1][1]
    reader = reader_missing(all, oldest)
    if reader then return 0, alarm(ALARMS + 1, head.stream_pause) * size, reader end
    return 0, 0, ''
end

local suspicious, held = 0, 0
for place = NEWS, #ARGV, 4 do
    if ARGV[place] == 'suspicious' then suspicious = suspicious + 1 end
end
local share_suspicious, share_judged = 0, 0
if head.judged ~= 0 or suspicious > 0 then
    share_suspicious, share_judged = window(suspicious)
    if suspicious > 0 and share_suspicious > head.share * share_judged then held = suspicious end
end

local added, expired = 0, 0
for place = NEWS, #ARGV, 4 do
    local kind, score, member, news = unpack(ARGV, place, place + 3)
    if kind ~= 'suspicious' or held == 0 then
        redis.call('XADD', stream, '*', head.field, news)
        added = added + 1
        if kind ~= 'plain' then
            expired = expired + 1
            if head.keep_dead then redis.call('ZADD', dead, score, member) end
        end
    end
end
if head.keep_dead and expired > 0 then
    redis.call('ZREMRANGEBYSCORE', dead, '-inf', head.dead_until)
    redis.call('ZREMRANGEBYRANK', dead, 0, -head.dead_limit - 1)
end

local by_kind = {}
for name, amount in pairs(head.counts) do
    count(name, amount)
    local kind = KINDS[name] or (string.sub(name, 1, 9) == 'rejected:' and 'rejected')
    if kind then by_kind[kind] = (by_kind[kind] or 0) + amount end
end
for kind, amount in pairs(by_kind) do count_minute(kind, amount) end
if expired > 0 then count('dead_tokens', expired) end
if held > 0 then count('held', held) end
redis.call('SADD', reports, head.name)

local is_alarming = held > 0 and share_suspicious >= head.breaker_least
local result = {held, is_alarming and alarm(ALARMS, head.breaker_pause) or 0,
    share_suspicious, share_judged, 0, 0, ''}
if added > 0 then
    result[5], result[6], result[7] = keep_bounded()
    for place = CONSUMERS, #KEYS do
        result[place - CONSUMERS + 8] =
            redis.call('SET', KEYS[place], '1', 'NX', 'EX', head.wake_age) and 1 or 0
    end
end
return result
end
"""
)
#: Note one tally.
NOTE: Final = Script(TELL + "return tell(KEYS, ARGV, cjson.decode(ARGV[1]))")

#: KEYS: lock. ARGV: owner, milliseconds. Returns 1 if the owner has it now.
CLAIM: Final = Script("""
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")

#: KEYS: lock. ARGV: owner. Returns 1 if it was the owner's.
RELEASE: Final = Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
""")

#: KEYS: reports. ARGV: what the key of a report begins with. Pushes that wait stay counted: they
#: are still to come. So does the time of the last that was accepted.
RESET: Final = Script(
    _CONSTANTS
    + """
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    local report = ARGV[1] .. name
    local pending, accepted_at = unpack(redis.call('HMGET', report, 'pending', ACCEPTED_AT))
    redis.call('DEL', report)
    if pending then redis.call('HSET', report, 'pending', pending, 'attempts', pending) end
    if accepted_at then redis.call('HSET', report, ACCEPTED_AT, accepted_at) end
end
redis.call('DEL', KEYS[2])
return 1
"""
)
