"""What Redis does in one step for relays, in Lua (Redis 6.2 or newer, Valkey).

A relay holds entries in a list of its own, and is in a sorted set with the instant until which it
counts as alive, in milliseconds by the clock of Redis. Whoever finds another's time over takes over
what that one held.
"""

from typing import Final

from pushtasks.store.scripts import CLOCK, Script

#: Gives a sign of life, and fills what the relay holds from the list.
#:
#: KEYS: relays, list, held. ARGV: relay, lease (ms), entries, bytes, bytes of one entry.
#: Returns: what is held, so that an answer that was lost is had again by asking again.
TAKE: Final = Script(
    CLOCK
    + """
redis.call('ZADD', KEYS[1], clock() + ARGV[2], ARGV[1])
local count, size, longest = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local entries = redis.call('LRANGE', KEYS[3], 0, count - 1)
for _, entry in ipairs(entries) do size = size - #entry end
while #entries < count and size > 0 do
    local entry = redis.call('LMOVE', KEYS[2], KEYS[3], 'LEFT', 'RIGHT')
    if not entry then break end
    table.insert(entries, entry)
    size = size - #entry
end
for place, entry in ipairs(entries) do
    if #entry > longest then entries[place] = string.sub(entry, 1, longest + 1) end
end
return entries
"""
)

#: Gives a sign of life, lets go of what is in the broker, and keeps dead letters.
#:
#: KEYS: relays, held, dead letters. ARGV: relay, lease (ms), entries, limit, then dead letters.
#: Returns: how many entries were held, 0 if somebody has taken them over, who then keeps the dead
#: letters, too; and how many old dead letters had to go.
SETTLE: Final = Script(
    CLOCK
    + """
redis.call('ZADD', KEYS[1], clock() + ARGV[2], ARGV[1])
local held = redis.call('LLEN', KEYS[2])
if held == 0 then return {0, 0} end
redis.call('LTRIM', KEYS[2], ARGV[3], -1)
for place = 5, #ARGV do redis.call('RPUSH', KEYS[3], ARGV[place]) end
local over = redis.call('LLEN', KEYS[3]) - ARGV[4]
if over > 0 then redis.call('LTRIM', KEYS[3], over, -1) end
return {held, math.max(over, 0)}
"""
)

#: Gives a sign of life.
#:
#: KEYS: relays. ARGV: relay, lease (ms).
LIVE: Final = Script(CLOCK + "return redis.call('ZADD', KEYS[1], clock() + ARGV[2], ARGV[1])")

#: Takes over what another relay held, if its time is over and this one's hands are empty.
#:
#: KEYS: relays, held, held by the other. ARGV: the other.
#: Returns: how many entries it held; -1 if they are not to be had.
ADOPT: Final = Script(
    CLOCK
    + """
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not ends or tonumber(ends) > clock() or redis.call('EXISTS', KEYS[2]) == 1 then return -1 end
redis.call('ZREM', KEYS[1], ARGV[1])
local count = redis.call('LLEN', KEYS[3])
if count > 0 then redis.call('RENAME', KEYS[3], KEYS[2]) end
return count
"""
)

#: Puts back what the relay holds, at the head of the list and in order, and strikes it off.
#:
#: KEYS: relays, list, held. ARGV: relay. Returns: how many entries.
LEAVE: Final = Script("""
local count = 0
while redis.call('LMOVE', KEYS[3], KEYS[2], 'RIGHT', 'LEFT') do count = count + 1 end
redis.call('ZREM', KEYS[1], ARGV[1])
return count
""")

#: Puts an entry at the end of the list in place of a dead letter, if that is still there.
#:
#: KEYS: list, dead letters. ARGV: the letter, the entry. Returns: 0 if it is not.
REVIVE: Final = Script("""
if redis.call('LREM', KEYS[2], 1, ARGV[1]) == 0 then return 0 end
return redis.call('RPUSH', KEYS[1], ARGV[2])
""")
