"""How apps fare at their providers: the last hour by minute, pauses, rates, the breaker."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from pushtasks.results import APNS, Provider
from pushtasks.store import keys

#: Minutes that are read back, the present one included.
MINUTES: Final = 60
_SLOTS: Final = MINUTES // keys.MINUTES_SLOT + 1
#: The environments of a provider whose tokens are judged apart.
_ENVIRONMENTS: Final[Mapping[Provider, tuple[str, ...]]] = {APNS: ("production", "sandbox")}


class Minute(NamedTuple):
    """What became of pushes in one minute; what Redis was told late counts in the minute it was."""

    at: datetime
    accepted: int = 0
    #: By the provider, for good.
    rejected: int = 0
    #: Given up: not sent, or maybe sent.
    unsent: int = 0


class Suspicion(NamedTuple):
    """What the breaker has seen of an environment in its window, the last 10 to 20 minutes."""

    #: `production` or `sandbox` at Apple, else empty.
    environment: str
    #: Rejections that a wrong environment, topic or certificate may explain.
    suspicious: int
    #: All pushes that the provider has judged.
    judged: int

    def is_over(self, share: float) -> bool:
        """Return whether such tokens are not reported as dead, at a setting of the breaker."""
        return self.suspicious > share * self.judged


@dataclass(frozen=True, slots=True)
class Health:
    """How one app fares at its provider, as all workers together know it."""

    provider: Provider
    app: str
    #: The last `MINUTES`, the oldest first.
    minutes: tuple[Minute, ...]
    #: In which minute the provider last accepted a push; exact to the minute.
    accepted_at: datetime | None
    #: Seconds for which nothing is sent, as the provider has asked.
    pause: float
    #: Seconds for which the rate in the settings is promised away already.
    backlog: float
    #: One for each environment in which anything was judged lately.
    suspicions: tuple[Suspicion, ...]


def read_health(client: Any, apps: Iterable[tuple[Provider, str]]) -> list[Health]:
    """Return how apps fare, in their order.

    Args:
        client: Of redis-py.
        apps: Each as provider and name.
    """
    wanted = list(apps)
    seconds, microseconds = client.time()
    now = datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)
    pipeline = client.pipeline(transaction=False)
    for provider, app in wanted:
        _ask(pipeline, provider, app, _minute(now))
    answers = iter(pipeline.execute())
    return [_read(provider, app, now, answers) for provider, app in wanted]


def _ask(pipeline: Any, provider: Provider, app: str, minute: int) -> None:
    for slot in _slots(minute):
        pipeline.hgetall(keys.minutes(provider, app, slot))
    pipeline.hget(keys.report(provider, app), keys.ACCEPTED_AT)
    pipeline.pttl(keys.quiet(provider, app))
    pipeline.hget(keys.bucket(provider, app), "free_at")
    for environment in _environments(provider):
        pipeline.hgetall(keys.breaker(provider, app, environment))


def _read(provider: Provider, app: str, now: datetime, answers: Any) -> Health:
    slots = [next(answers) for _ in _slots(_minute(now))]
    accepted_at, pause, free_at = next(answers), next(answers), next(answers)
    suspicions = [
        _suspicion(environment, next(answers), now) for environment in _environments(provider)
    ]
    return Health(
        provider,
        app,
        minutes=_minutes(slots, _minute(now)),
        accepted_at=datetime.fromtimestamp(int(accepted_at), UTC) if accepted_at else None,
        pause=max(0.0, pause / 1000),
        backlog=max(0.0, float(free_at or 0) / 1000 - now.timestamp()),
        suspicions=tuple(one for one in suspicions if one.judged),
    )


def _minutes(slots: Sequence[Mapping[str, str]], last: int) -> tuple[Minute, ...]:
    counts = {field: int(count) for slot in slots for field, count in slot.items()}

    def of(minute: int, kind: str) -> int:
        return max(0, counts.get(f"{minute}:{kind}", 0))  # late rejections take accepted ones back

    kinds = Minute._fields[1:]
    return tuple(
        Minute(_instant(minute), *(of(minute, kind) for kind in kinds))
        for minute in range(last - MINUTES + 1, last + 1)
    )


def _suspicion(environment: str, seen: Mapping[str, str], now: datetime) -> Suspicion:
    """Return what is in the window: this bucket of time, and the one before."""
    bucket = int(now.timestamp()) // keys.BREAKER_BUCKET
    age = bucket - int(seen.get("bucket", 0))
    parts = {0: ("", "_before"), 1: ("",)}.get(age, ())
    suspicious = sum(int(seen.get(f"suspicious{part}", 0)) for part in parts)
    judged = sum(int(seen.get(f"judged{part}", 0)) for part in parts)
    return Suspicion(environment, suspicious, judged)


def _environments(provider: Provider) -> tuple[str, ...]:
    return _ENVIRONMENTS.get(provider, ("",))


def _slots(minute: int) -> range:
    last = minute // keys.MINUTES_SLOT
    return range(last - _SLOTS + 1, last + 1)


def _minute(now: datetime) -> int:
    return int(now.timestamp()) // 60


def _instant(minute: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(minutes=minute)
