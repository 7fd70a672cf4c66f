"""How fast an app sends over all workers, and when not at all.

The bucket of an app is kept as the instant at which it will have paid for all that it was promised
(the "generic cell rate algorithm"): whoever asks is given the first instant that is free, his slot,
and comes back then. So nobody has to ask twice, and none overtakes another. A slot that was missed
by more than `SLACK` is void, or all that waited while workers were away would come at once.
"""

from typing import Final, NamedTuple

from pushtasks.results import Provider
from pushtasks.store import keys
from pushtasks.store.connection import Connection
from pushtasks.store.scripts import CLOCK, Script

#: Milliseconds by which a slot may be missed, and those by which it may come early.
SLACK: Final = 2000
EARLY: Final = 30
#: Milliseconds without a push after which an app starts slowly again.
IDLE: Final = 60_000

#: Functions for scripts that pace, after `CLOCK`. `pace` returns the milliseconds to wait, and the
#: slot; `hush` silences an app, which then starts slowly again.
PACE: Final = f"""
local SLACK, EARLY, IDLE = {SLACK}, {EARLY}, {IDLE}

local function pace(quiet, bucket, cost, rate, ramp, slot)
    local left, now = redis.call('PTTL', quiet), clock()
    if left > 0 then return left, 0 end
    if rate == 0 or cost == 0 then return 0, 0 end
    if slot > 0 and now < slot + SLACK then return math.max(0, slot - now - EARLY), slot end
    local free_at, since = unpack(redis.call('HMGET', bucket, 'free_at', 'since'))
    free_at, since = tonumber(free_at or 0), tonumber(since or 0)
    if now - free_at > IDLE then since = now end
    local start = math.max(free_at, now)
    local share = ramp > 0 and math.min(1, 0.1 + 0.9 * math.max(0, start - since) / ramp) or 1
    free_at = start + cost * 1000 / (rate * share)
    redis.call('HSET', bucket, 'free_at', free_at, 'since', since)
    redis.call('PEXPIRE', bucket, math.ceil(free_at - now) + IDLE)
    return math.max(0, start - now - EARLY), math.ceil(start)
end

local function hush(quiet, bucket, milliseconds)
    if milliseconds <= redis.call('PTTL', quiet) then return end
    redis.call('SET', quiet, 1, 'PX', milliseconds)
    local free_at = redis.call('HGET', bucket, 'free_at')
    if not free_at then return end
    local ends = clock() + milliseconds
    free_at = math.max(tonumber(free_at), ends)
    redis.call('HSET', bucket, 'free_at', free_at, 'since', ends)
    redis.call('PEXPIRE', bucket, math.ceil(free_at - clock()) + IDLE)
end
"""

#: KEYS: quiet, bucket. ARGV: cost, rate, ramp, slot. Returns milliseconds and slot.
_TURN: Final = Script(
    CLOCK
    + PACE
    + """
local wait, slot = pace(KEYS[1], KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]),
    tonumber(ARGV[4]))
return {math.ceil(wait), slot}
"""
)

#: KEYS: quiet, bucket. ARGV: milliseconds.
_HUSH: Final = Script(CLOCK + PACE + "hush(KEYS[1], KEYS[2], tonumber(ARGV[1]))")


class Limit(NamedTuple):
    """How fast an app may send."""

    provider: Provider
    app: str
    #: Pushes in a second; 0: as fast as can be.
    rate: float = 0.0
    #: Seconds in which it grows to that, from a tenth of it.
    ramp: float = 0.0

    @property
    def keys(self) -> list[str]:
        """The keys of a pause and of what was used of the rate."""
        return [keys.quiet(self.provider, self.app), keys.bucket(self.provider, self.app)]

    def arguments(self, cost: int, slot: int) -> list[float]:
        """Return what the function `pace` takes beside the keys."""
        return [cost, self.rate, self.ramp * 1000, slot]


class Turn(NamedTuple):
    """When somebody may send."""

    #: Seconds to wait.
    wait: float
    #: What to ask with when they are over: milliseconds since 1970; 0 without a rate.
    slot: int


class Rates:
    """The apps of an installation; all methods raise `StoreUnavailable` if Redis is away."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def turn(self, limit: Limit, cost: int, slot: int = 0) -> Turn:
        """Ask when so many pushes may be sent.

        Args:
            limit: The app.
            cost: How many pushes.
            slot: What an earlier call has given for them, if any.
        """
        call = (limit.keys, limit.arguments(cost, slot))
        [(wait, slot)] = self._connection.run(_TURN, [call])
        return Turn(wait / 1000, slot)

    def pause(self, limit: Limit, seconds: float) -> None:
        """Let an app send nothing for so long, from any worker; a longer pause stays."""
        self._connection.run(_HUSH, [(limit.keys, [int(seconds * 1000)])])
