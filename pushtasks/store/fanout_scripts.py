"""What Redis does for fan-outs in one step, in Lua (Redis 6.2 or newer, Valkey).

All begin with the same keys: 1 the fan-out's hash, 2 its publisher's lock, 3 a bitmap of the chunks
that are done, 4 a hash of the chunks that a worker is at, 5 the stream of failures. All of one
fan-out expire together, when it was not touched for a while.
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
local fanout, publisher, done, running, failures = unpack(KEYS, 1, 5)

local function touch()
    for place = 1, 5 do
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

#: KEYS: the five, the index, and perhaps what leads from the caller's key to an id.
#: ARGV: id, spec. Returns: id, and 1 if it is new.
CREATE: Final = Script(
    COMMON
    + """
local index, by_key = KEYS[6], KEYS[7]
local known = by_key and redis.call('GET', by_key)
if known and redis.call('EXISTS', FANOUT .. known) == 1 then return {known, 0} end
local now = math.floor(clock())
redis.call('HSET', fanout, 'spec', ARGV[2], 'state', 'running', 'created_at', now)
redis.call('ZADD', index, now, ARGV[1])
redis.call('ZREMRANGEBYRANK', index, 0, -FANOUTS - 1)
redis.call('EXPIRE', index, AGE)
if by_key then redis.call('SET', by_key, ARGV[1], 'EX', AGE) end
touch()
return {ARGV[1], 1}
"""
)

#: KEYS: the five, and perhaps what leads to it from the caller's key.
#: ARGV: number of the chunk, its devices, position, then each failure as JSON.
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
    local invalid = #ARGV - 3
    add('chunks_published', 1)
    add('devices', devices + invalid)
    add('invalid', invalid)
    for place = 4, #ARGV do keep_failure(ARGV[place]) end
    redis.call('HSET', fanout, 'position', ARGV[3])
    if devices == 0 then redis.call('SETBIT', done, chunk, 1) end
    if redis.call('GETBIT', done, chunk) == 1 then add('chunks_done', 1) end
    touch()
    if KEYS[6] then redis.call('EXPIRE', KEYS[6], AGE) end
end
return settle()
"""
)

#: KEYS: the five. ARGV: position, error or nothing, then each failure as JSON. Returns: as before.
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

#: KEYS: the five. Returns: how the fan-out stands; nothing if it is gone.
STANDING: Final = Script(COMMON + "return settle()")

#: KEYS: the five. ARGV: the state wanted. Returns 1 if it is a legal move from the present one.
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
