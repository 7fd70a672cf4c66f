"""What became of the pushes that came by `/gcm/send`, in Redis, for all processes that serve.

A request is noted before its task is handed to the broker, and counts as pending until somebody has
seen the task's result. Redis keeps, for each app: a hash of counters; a sorted set of the pending
tasks, by the millisecond at which to look for their results; and two lists, of replacements and of
dead registration ids, which are emptied by whoever reads them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from celery import Celery

from pushtasks.config import current_settings
from pushtasks.errors import InvalidSettings
from pushtasks.store.connection import Connection
from pushtasks.store.keys import PREFIX
from pushtasks.store.scripts import CLOCK, Script

#: Entries of each list; beyond, the oldest go.
LIST_LIMIT: Final = 100_000
#: Pending tasks; beyond, those that were looked for the longest are given up.
PENDING_LIMIT: Final = 1_000_000
#: Milliseconds after which to look for a result first; thereafter half of the task's age, within
#: these limits.
FIRST_LOOK: Final = 250
LONGEST_PAUSE: Final = 30_000

COUNTERS: Final = ("attempts", "failures", "canonicals", "notregistered")

#: KEYS: counts, pending. ARGV: task id, tokens.
_NOTE: Final = Script(
    CLOCK
    + f"""
local counts, pending = KEYS[1], KEYS[2]
local now = math.floor(clock())
redis.call('HINCRBY', counts, 'attempts', ARGV[2])
redis.call('ZADD', pending, now + {FIRST_LOOK}, now .. ':' .. ARGV[1])
local excess = redis.call('ZCARD', pending) - {PENDING_LIMIT}
if excess > 0 then
    redis.call('HINCRBY', counts, 'failures', excess)
    redis.call('ZREMRANGEBYRANK', pending, -excess, -1)
end
return now
"""
)

#: KEYS: counts, pending. ARGV: member, tokens.
_WITHDRAW: Final = Script(
    """
if redis.call('ZREM', KEYS[2], ARGV[1]) == 1 then
    redis.call('HINCRBY', KEYS[1], 'attempts', -ARGV[2])
end
"""
)

#: KEYS: pending. ARGV: how many at the most. Whom it returns, nobody else is given for a while.
_DUE: Final = Script(
    CLOCK
    + f"""
local now = math.floor(clock())
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for place, member in ipairs(due) do
    local age = now - tonumber(string.match(member, '^%d+'))
    local pause = math.max({FIRST_LOOK}, math.min({LONGEST_PAUSE}, age / 2))
    redis.call('ZADD', KEYS[1], now + math.floor(pause), member)
end
return {{now, unpack(due)}}
"""
)

#: KEYS: counts, pending, canonical, notregistered. ARGV: member, failures, number of replacements,
#: those as JSON, then registration ids.
_SETTLE: Final = Script(
    f"""
local counts, pending, lists = KEYS[1], KEYS[2], {{canonicals = KEYS[3], notregistered = KEYS[4]}}
if redis.call('ZREM', pending, ARGV[1]) == 0 then return 0 end
redis.call('HINCRBY', counts, 'failures', ARGV[2])
for place = 4, #ARGV do
    local name = place < 4 + ARGV[3] and 'canonicals' or 'notregistered'
    redis.call('HINCRBY', counts, name, 1)
    redis.call('RPUSH', lists[name], ARGV[place])
end
for _, list in pairs(lists) do redis.call('LTRIM', list, -{LIST_LIMIT}, -1) end
return 1
"""
)


@dataclass(frozen=True, slots=True)
class Pending:
    """A request whose end is not known yet."""

    task_id: str
    #: As the sorted set has it.
    member: str
    #: Seconds since it came.
    age: float = 0.0


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of a request."""

    failures: int = 0
    #: Registration ids and their successors.
    canonicals: Sequence[tuple[str, str]] = ()
    notregistered: Sequence[str] = ()


class Ledger:
    """The counters and lists of one app.

    All methods raise `StoreUnavailable` if Redis cannot be reached, and `InvalidSettings` if there
    is none.
    """

    def __init__(self, celery_app: Celery, app: str) -> None:
        """Take whose Redis it is and the app's name; nothing is opened yet."""
        self._celery_app = celery_app
        name = f"{PREFIX}gocm:{app}"
        self._counts, self._pending = f"{name}:counts", f"{name}:pending"
        self._canonical, self._notregistered = f"{name}:canonical", f"{name}:notregistered"

    @cached_property
    def _connection(self) -> Connection:
        url = current_settings(self._celery_app).redis_url
        if url is None:
            raise InvalidSettings("/gcm/ needs redis_url: there is nowhere to count")
        return Connection(url)

    def note(self, task_id: str, tokens: int) -> Pending:
        """Note a request, before its task is handed to the broker."""
        now = self._run(_NOTE, [self._counts, self._pending], [task_id, tokens])
        return Pending(task_id, f"{now}:{task_id}")

    def withdraw(self, pending: Pending, tokens: int) -> None:
        """Forget a request whose task the broker did not take."""
        self._run(_WITHDRAW, [self._counts, self._pending], [pending.member, tokens])

    def due(self, count: int) -> list[Pending]:
        """Return requests whose results are to be looked for now, by nobody but the caller."""
        now, *members = self._run(_DUE, [self._pending], [count])
        return [_pending(member, now) for member in members]

    def settle(self, pending: Pending, ending: Ending) -> None:
        """Note what became of a request; only the first time counts."""
        replacements = [
            json.dumps({"original": original, "canonical": canonical})
            for original, canonical in ending.canonicals
        ]
        self._run(
            _SETTLE,
            [self._counts, self._pending, self._canonical, self._notregistered],
            [
                pending.member,
                ending.failures,
                len(replacements),
                *replacements,
                *ending.notregistered,
            ],
        )

    def report(self) -> dict[str, int]:
        """Return the counters since the beginning, and how many requests are pending."""
        with self._connection.watched() as client, client.pipeline() as pipeline:
            pipeline.hmget(self._counts, COUNTERS)
            pipeline.zcard(self._pending)
            counts, pending = pipeline.execute()
        attempts, failures, canonicals, notregistered = (int(count or 0) for count in counts)
        return {
            "attempts": attempts,
            "failures": failures,
            "pending": pending,
            "canonicals": canonicals,
            "notregistered": notregistered,
        }

    def take_canonicals(self) -> list[dict[str, str]]:
        """Empty the list of replacements, and return what was in it: `original`, `canonical`."""
        return [json.loads(text) for text in self._take(self._canonical)]

    def take_notregistered(self) -> list[str]:
        """Empty the list of dead registration ids, and return what was in it."""
        return self._take(self._notregistered)

    def _take(self, key: str) -> list[str]:
        with self._connection.watched() as client, client.pipeline(transaction=True) as pipeline:
            pipeline.lrange(key, 0, -1)
            pipeline.delete(key)
            entries, _ = pipeline.execute()
        return list(entries)

    def _run(self, script: Script, names: list[str], arguments: list[Any]) -> Any:
        return self._connection.run(script, [(names, arguments)])[0]


def _pending(member: str, now: int) -> Pending:
    since, _, task_id = member.partition(":")
    return Pending(task_id, member, (now - int(since)) / 1000)
