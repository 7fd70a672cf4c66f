"""What Redis does for fan-outs in one step, in Lua (Redis 6.2 or newer, Valkey).

All begin with the same keys: 1 the fan-out's hash, 2 its publisher's lock, 3 a bitmap of the chunks
that are done, 4 a hash of the chunks that are being tried, with the task that is at it, 5 the
stream of failures, 6 a hash of what each chunk is about that is not done, 7 a hash of the signs of
life of these chunks: the millisecond until which one is in good hands, or, negative, the one in
which its message went to the broker, if no worker has met it since. All of one fan-out expire
together, when it was not touched for a while.
"""

from typing import Final

from pushtasks.store import keys
from pushtasks.store.scripts import CLOCK, Script

_CONSTANTS: Final = f"""
local FANOUT, FANOUTS, AGE = '{keys.FANOUT}', {keys.FANOUTS_LIMIT}, {keys.FANOUT_AGE}
local FAILURE, FAILURES = '{keys.FAILURE_FIELD}', {keys.FAILURES_LIMIT}
"""

COMMON: Final = (
    CLOCK
    + _CONSTANTS
    + """
local fanout, publisher, done, running, failures, work, signs = unpack(KEYS, 1, 7)

local function touch()
    for place = 1, 7 do
        if place ~= 2 then redis.call('EXPIRE', KEYS[place], AGE) end
    end
end

local function add(name, amount)
    if amount ~= 0 then redis.call('HINCRBY', fanout, name, amount) end
end

local function keep_failure(text)
    redis.call('XADD', failures, 'MAXLEN', '~', FAILURES, '*', FAILURE, text)
    add('failures', 1)
end

-- Ends a fan-out of which nothing more is to come and every chunk is done. A cancelled one does not
-- wait for a publisher that is gone. Returns how it stands.
local function settle()
    local state, published, finished, ended, over = unpack(redis.call('HMGET', fanout,
        'state', 'chunks_published', 'chunks_done', 'source_ended', 'finished_at'))
    if not state then return false end
    local publishing = redis.call('EXISTS', publisher)
    if state == 'cancelled' and not ended and publishing == 0 then
        redis.call('HSET', fanout, 'source_ended', 1)
        ended = '1'
    end
    published, finished = tonumber(published or 0), tonumber(finished or 0)
    if ended and not over and published == finished then
        over = math.floor(clock())
        if state ~= 'cancelled' then state = 'finished' end
        redis.call('HSET', fanout, 'state', state, 'finished_at', over)
    end
    return {state, published, finished, ended and 1 or 0, publishing, over and 1 or 0}
end
"""
)

#: KEYS: the seven, the index, and perhaps what leads from the caller's key to an id.
#: ARGV: id, spec. Returns: id, and 1 if it is new.
CREATE: Final = Script(
    COMMON
    + """
local index, by_key = KEYS[8], KEYS[9]
local known = by_key and redis.call('GET', by_key)
if known and redis.call('EXISTS', FANOUT .. known) == 1 then return {known, 0} end
local now = math.floor(clock())
redis.call('HSET', fanout, 'spec', ARGV[2], 'state', 'running', 'created_at', now,
    'heard_at', now)
redis.call('ZADD', index, now, ARGV[1])
redis.call('ZREMRANGEBYRANK', index, 0, -FANOUTS - 1)
redis.call('EXPIRE', index, AGE)
if by_key then redis.call('SET', by_key, ARGV[1], 'EX', AGE) end
touch()
return {ARGV[1], 1}
"""
)

#: KEYS: the seven, and perhaps what leads to it from the caller's key.
#: ARGV: number of the chunk, its devices, what they are, position, then each failure as JSON.
#: Returns: how the fan-out stands; nothing if it is gone; an error if a chunk was left out.
PUBLISHED: Final = Script(
    COMMON
    + """
if redis.call('EXISTS', fanout) == 0 then return false end
local chunk, devices = tonumber(ARGV[1]), tonumber(ARGV[2])
local published = tonumber(redis.call('HGET', fanout, 'chunks_published') or 0)
if chunk > published then
    return redis.error_reply('chunk ' .. chunk .. ' was noted before chunk ' .. published)
end
if chunk == published then
    local invalid = #ARGV - 4
    add('chunks_published', 1)
    add('devices', devices + invalid)
    add('invalid', invalid)
    for place = 5, #ARGV do keep_failure(ARGV[place]) end
    redis.call('HSET', fanout, 'position', ARGV[4])
    if devices == 0 then
        redis.call('SETBIT', done, chunk, 1)
        add('chunks_done', 1)
    else
        redis.call('HSET', work, chunk, ARGV[3])
        redis.call('HSET', signs, chunk, -math.floor(clock()))
    end
    touch()
    if KEYS[8] then redis.call('EXPIRE', KEYS[8], AGE) end
end
return settle()
"""
)

#: KEYS: the seven. ARGV: position, error or nothing, then each failure as JSON. Returns: as before.
ENDED: Final = Script(
    COMMON
    + """
if redis.call('EXISTS', fanout) == 0 then return false end
if redis.call('HSETNX', fanout, 'source_ended', 1) == 1 then
    local invalid = #ARGV - 2
    add('devices', invalid)
    add('invalid', invalid)
    for place = 3, #ARGV do keep_failure(ARGV[place]) end
    redis.call('HSET', fanout, 'position', ARGV[1])
    if ARGV[2] ~= '' then redis.call('HSET', fanout, 'error', ARGV[2]) end
    touch()
end
return settle()
"""
)

#: KEYS: the seven. Returns: how the fan-out stands; nothing if it is gone.
STANDING: Final = Script(COMMON + "return settle()")

#: KEYS: the seven. ARGV: the state wanted. Returns 1 if it is a legal move from the present one.
MOVE: Final = Script(
    COMMON
    + """
local FROM = {paused = {running = 1}, running = {paused = 1},
    cancelled = {running = 1, paused = 1}}
local state = redis.call('HGET', fanout, 'state')
if not state or not FROM[ARGV[1]][state] then return 0 end
redis.call('HSET', fanout, 'state', ARGV[1])
touch()
settle()
return 1
"""
)

#: Find chunks whose message the broker has lost, or may have lost: they are to be published again,
#: which does no harm to one that was not. A chunk that no worker has met counts as lost once a
#: later one was begun and it is overdue, for queues are first in, first out; and if nothing was
#: heard of the whole fan-out for longer and longer, since there may be no later one. A chunk that
#: was begun counts as lost when it is no longer in good hands.
#:
#: KEYS: the seven. ARGV: milliseconds after which a chunk is overdue, and those of silence of the
#: fan-out, doubled each time up to the third. Returns: numbers of chunks.
MEND: Final = Script(
    COMMON
    + """
local overdue, silence, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local state, over, begun, heard, times = unpack(redis.call('HMGET', fanout,
    'state', 'finished_at', 'begun', 'heard_at', 'silences'))
if not state or state == 'paused' or over then return {} end

local now = math.floor(clock())
begun, times = tonumber(begun or -1), tonumber(times or 0)
silence = math.min(silence * 2 ^ times, longest)
local is_silent = tonumber(heard) + silence < now

local function is_lost(chunk, sign)
    if sign >= 0 then return sign < now end
    if is_silent and -sign + silence < now then return true end
    return chunk <= begun and -sign + overdue < now
end

local lost, all = {}, redis.call('HGETALL', signs)
for place = 1, #all, 2 do
    if is_lost(tonumber(all[place]), tonumber(all[place + 1])) then
        table.insert(lost, tonumber(all[place]))
        redis.call('HSET', signs, all[place], -now)
    end
end
if is_silent and #lost > 0 then redis.call('HINCRBY', fanout, 'silences', 1) end
return lost
"""
)
