"""What Redis does in one step while a chunk of a fan-out is sent, in Lua.

The first seven keys are those of all scripts of fan-outs (`fanout_scripts`), the eighth is a bitmap
of the chunk's devices that are settled. A device is counted when its bit is set, and so once.
"""

from typing import Final

from pushtasks.store.fanout_scripts import COMMON
from pushtasks.store.rates import PACE
from pushtasks.store.scripts import TELL, Script

#: Begin a try, unless there is nothing to send, or not yet, or another task is at it: one that was
#: published again for nothing waits until the first is done, or has fallen silent.
#:
#: KEYS: the eight, then two for each app, as `Limit.keys`.
#: ARGV: chunk, devices of the chunk, id of the task, milliseconds for which it is in good hands
#: then, milliseconds until its own time has come, then four for each app, as `Limit.arguments`.
#: Returns: state (nothing: there is no such fan-out), whether the chunk is done, its settled
#: devices in hexadecimal digits, milliseconds to wait, whether the try before it was cut off, and
#: slots.
BEGIN: Final = Script(
    COMMON
    + PACE
    + """
local APPS, argument = 9, 6
local devices, chunk, size, task = KEYS[8], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local lease, own, now = tonumber(ARGV[4]), tonumber(ARGV[5]), math.floor(clock())
local state, begun, silences = unpack(redis.call('HMGET', fanout, 'state', 'begun', 'silences'))
if not state then return {'', 0, '', 0, 0} end
if redis.call('GETBIT', done, chunk) == 1 then return {state, 1, '', 0, 0} end

local owner, sign = redis.call('HGET', running, chunk), redis.call('HGET', signs, chunk)
if owner and owner ~= task and tonumber(sign or 0) > now then
    return {state, 0, '', sign - now, 0}
end
redis.call('HSET', fanout, 'heard_at', now)
if chunk > tonumber(begun or -1) then redis.call('HSET', fanout, 'begun', chunk) end
if silences then redis.call('HDEL', fanout, 'silences') end

local function answer(result)
    redis.call('HSET', signs, chunk, now + lease + result[4])
    return result
end

local bits = redis.call('GET', devices) or ''
local digits = string.gsub(bits, '.', function(byte)
    return string.format('%02x', string.byte(byte))
end)
local result = {state, 0, digits, own, 0}
if own > 0 or state == 'paused' or state == 'cancelled' then return answer(result) end

for place = APPS, #KEYS, 2 do
    local cost, rate, ramp, slot = unpack(ARGV, argument, argument + 3)
    argument = argument + 4
    local wait
    wait, slot = pace(KEYS[place], KEYS[place + 1], tonumber(cost), tonumber(rate), tonumber(ramp),
        tonumber(slot))
    result[4] = math.max(result[4], math.ceil(wait))
    table.insert(result, slot)
end
if result[4] == 0 and redis.call('HSET', running, chunk, task) == 0 then
    result[5] = 1
    add('repeated', size - redis.call('BITCOUNT', devices))
end
redis.call('EXPIRE', running, AGE)
return answer(result)
"""
)

#: Note what became of devices of one app.
#:
#: KEYS: the eight, a scratch key, the app's two as `Limit.keys`, then those of `TELL`.
#: ARGV: chunk, devices of the chunk, bitmap of accepted devices, bitmap of others that end alike,
#: the counter of those, 1 if the try is over, how many are tried again, milliseconds for which it
#: is in good hands now, milliseconds for which the app is to be silent, an error or nothing, how
#: the report is to be kept (see `tallies`); then for
#: each other device place, counter, the report's counter, 1 if the provider has judged it, 1 if it
#: has a successor, failure (JSON), how many news; and the news as `TELL` takes them.
#: Returns: whether the chunk is done, and what `TELL` returns or nothing.
NOTE: Final = Script(
    COMMON
    + PACE
    + TELL
    + """
local devices, scratch, quiet, bucket = unpack(KEYS, 8, 11)
local chunk, size, accepted, alike, alike_as, over, retried, lease, silence, trouble =
    unpack(ARGV, 1, 10)
local HEAD, RECORDS, TOLD = 11, 12, 12
chunk, size, silence = tonumber(chunk), tonumber(size), tonumber(silence)

if silence > 0 then hush(quiet, bucket, silence) end
if redis.call('EXISTS', fanout) == 0 then return {1} end
if redis.call('GETBIT', done, chunk) == 1 then return {1} end
if trouble ~= '' then redis.call('HSETNX', fanout, 'error', trouble) end

local counts, judged, news = {}, 0, {ARGV[HEAD]}

local function report(name, amount)
    counts[name] = (counts[name] or 0) + amount
end

-- Sets the bits of settled devices; returns how many were not.
local function settle_all(bits)
    if bits == '' then return 0 end
    local before = redis.call('BITCOUNT', devices)
    redis.call('SET', scratch, bits)
    redis.call('BITOP', 'OR', devices, devices, scratch)
    redis.call('DEL', scratch)
    return redis.call('BITCOUNT', devices) - before
end

local place = RECORDS
while place <= #ARGV do
    local device, counter, reported, is_judged, is_renamed, failure, told =
        unpack(ARGV, place, place + 6)
    local first, after = place + 7, place + 7 + 4 * told
    if redis.call('SETBIT', devices, device, 1) == 0 then
        add(counter, 1)
        report('attempts', 1)
        report(reported, 1)
        if is_renamed == '1' then
            add('canonical_ids', 1)
            report('canonical_ids', 1)
        end
        judged = judged + is_judged
        keep_failure(failure)
        for at = first, after - 1 do table.insert(news, ARGV[at]) end
    end
    place = after
end
local new = settle_all(accepted)
if new > 0 then
    add('accepted', new)
    report('attempts', new)
    report('accepted', new)
    judged = judged + new
end
add(alike_as, settle_all(alike))
redis.call('EXPIRE', devices, AGE)

local is_done = redis.call('BITCOUNT', devices) >= size
if is_done or over == '1' then
    if redis.call('HDEL', running, chunk) == 1 then add('retried', tonumber(retried)) end
end
if is_done then
    redis.call('DEL', devices)
    redis.call('HDEL', work, chunk)
    redis.call('HDEL', signs, chunk)
    redis.call('SETBIT', done, chunk, 1)
    add('chunks_done', 1)
    settle()
else
    redis.call('HSET', signs, chunk, math.floor(clock()) + lease)
end
if is_done or over == '1' then touch() end
if not next(counts) then return {is_done and 1 or 0} end
local head, names = cjson.decode(ARGV[HEAD]), {}
head.counts, head.judged = counts, judged
for at = TOLD, #KEYS do table.insert(names, KEYS[at]) end
return {is_done and 1 or 0, tell(names, news, head)}
"""
)
