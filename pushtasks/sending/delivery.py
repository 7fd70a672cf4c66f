"""What becomes of pushes after one try: settled, or to be tried again."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import starmap
from operator import itemgetter
from typing import Any, Final, Generic, NamedTuple, Self, TypeVar

from pushtasks.errors import InvalidPush, PushError, PushMaybeSent, PushNotSent
from pushtasks.masking import mask
from pushtasks.results import Action, Outcome, Provider, Result, Verdict
from pushtasks.retries import pause_before, rule_for
from pushtasks.sending.gathering import Collector
from pushtasks.sending.progress import Progress

Push = TypeVar("Push")
#: What stands in place of a push that is not to be sent.
_SETTLED: Final = (InvalidPush, Verdict)


class Policy(NamedTuple):
    """Whose pushes these are, and what that app's settings say of those that fail."""

    provider: Provider
    app: str
    #: Tries after the first.
    retries: int
    #: Whether a push whose answer was lost goes out again.
    resend: bool


class Device(NamedTuple, Generic[Push]):
    """A device of a list: its place there, what the caller calls it, and what it is to get."""

    place: int
    token: str
    #: Or why there is none to be sent, or what became of the device beforehand.
    push: Push | InvalidPush | Verdict


@dataclass(frozen=True, slots=True, repr=False)
class Devices(Generic[Push]):
    """Devices of a list: in columns those to be sent to, since an object for each costs more.

    What is iterated over are all of them, by place.
    """

    places: Sequence[int]
    tokens: Sequence[str]
    pushes: Sequence[Push]
    #: Those that nothing is sent to.
    settled: list[Device[Any]] = field(default_factory=list)

    @classmethod
    def of(cls, devices: Iterable[Device[Push]]) -> Self:
        """Return these, sorted out."""
        ready: list[Device[Any]] = []
        settled: list[Device[Any]] = []
        for device in devices:
            (settled if isinstance(device.push, _SETTLED) else ready).append(device)
        places, tokens, pushes = zip(*ready, strict=True) if ready else ((), (), ())
        return cls(places, tokens, pushes, settled)

    def __len__(self) -> int:
        return len(self.places) + len(self.settled)

    def __iter__(self) -> Iterator[Device[Push]]:
        ready = zip(self.places, self.tokens, self.pushes, strict=True)
        return iter(sorted([*starmap(Device, ready), *self.settled], key=itemgetter(0)))


@dataclass(frozen=True, slots=True)
class Later:
    """What is to be tried again, after how many seconds, and what Celery is to show as reason."""

    pause: float
    error: PushError
    #: Of a list: the places that are left.
    places: list[int] = field(default_factory=list)
    #: Why, in the provider's word; of several devices, that of one of them.
    reason: str | None = None


def deliver_one(policy: Policy, progress: Progress, token: str, verdict: Verdict) -> Result | Later:
    """Judge what became of a push to one device.

    Raises:
        PushNotSent: It is given up, and the provider has not taken it.
        PushMaybeSent: It is given up, and the provider may have taken it.
    """
    outcome, pause = _settle(policy, progress, 0, verdict)
    if outcome in {Outcome.ACCEPTED, Outcome.REJECTED}:
        return _result(policy, token, verdict, outcome)
    give_up = PushMaybeSent if outcome is Outcome.MAYBE_SENT else PushNotSent
    count = progress.tries + 1
    error = give_up(
        f"{policy.provider} app {policy.app!r}, device {mask(token)}: {verdict.reason}"
        f" (try {count} of {policy.retries + 1})"
    )
    if pause is None:
        raise error
    return Later(pause, error, reason=verdict.reason)


def deliver_many(
    policy: Policy,
    progress: Progress,
    devices: Devices[Push],
    send: Callable[[Sequence[Push]], list[Verdict]],
    gathering: Collector,
) -> Later | None:
    """Send to the devices of a list, and gather what is settled.

    Args:
        policy: How to go about failures.
        progress: Of the task; it learns which pushes may have been sent.
        devices: Those that are left.
        send: Sends pushes, and returns what came of each.
        gathering: Takes each device that is settled.

    Returns:
        What is left for another try, if any.
    """
    for place, token, settled in devices.settled:
        gathering.add(place, _beforehand(policy, token, settled))
    verdicts = send(devices.pushes) if devices.pushes else []
    left: dict[int, float] = {}
    reason = None
    for place, token, verdict in zip(devices.places, devices.tokens, verdicts, strict=True):
        if verdict.reason is None and not (verdict.canonical_id or verdict.failed_registration_ids):
            gathering.accept(place, token, verdict)
            continue
        outcome, pause = _settle(policy, progress, place, verdict)
        if pause is None:
            gathering.add(place, _result(policy, token, verdict, outcome))
        else:
            left[place], reason = pause, verdict.reason
    if not left:
        return None
    count = progress.tries + 1
    error = PushNotSent(
        f"{policy.provider} app {policy.app!r}, {len(left)} of {len(devices)} devices: {reason}"
        f" (try {count} of {policy.retries + 1})"
    )
    return Later(max(left.values()), error, list(left), reason)


def _settle(
    policy: Policy, progress: Progress, place: int, verdict: Verdict
) -> tuple[Outcome, float | None]:
    """Return what became of a push, and the seconds until it is worth another try, if it is."""
    if verdict.status is not None and verdict.reason is None:
        return Outcome.ACCEPTED, None
    rule = rule_for(policy.provider, verdict)
    if rule.is_final:
        return Outcome.REJECTED, None
    if verdict.maybe_sent:
        progress.maybe_sent.add(place)
    outcome = Outcome.MAYBE_SENT if place in progress.maybe_sent else Outcome.NOT_SENT
    limit = policy.retries if rule.limit is None else min(rule.limit, policy.retries)
    if progress.tries < limit and (policy.resend or not verdict.maybe_sent):
        chance = random.random()  # noqa: S311
        return outcome, pause_before(rule, progress.tries, verdict.retry_after, chance)
    if rule.action is Action.FIX_CONFIG:  # a remedy was tried, and did not help
        outcome = Outcome.REJECTED
    return outcome, None


def _result(policy: Policy, token: str, verdict: Verdict, outcome: Outcome) -> Result:
    action = rule_for(policy.provider, verdict).action
    return Result(
        provider=policy.provider,
        app=policy.app,
        token=token,
        outcome=outcome,
        action=Action.REPLACE_TOKEN if verdict.canonical_id else action,
        status=verdict.status,
        reason=verdict.reason,
        message_id=verdict.message_id,
        canonical_id=verdict.canonical_id,
        dead_since=verdict.dead_since,
        failed_registration_ids=verdict.failed_registration_ids,
    )


def _beforehand(policy: Policy, token: str, settled: InvalidPush | Verdict) -> Result:
    """Return the result of a device that nothing is sent to."""
    if isinstance(settled, Verdict):
        return _result(policy, token, settled, Outcome.REJECTED)
    return _refused(policy, token, settled)


def _refused(policy: Policy, token: str, error: InvalidPush) -> Result:
    """Return the result of a device whose push could not even be made."""
    return Result(
        policy.provider,
        policy.app,
        token,
        Outcome.REJECTED,
        action=Action.FIX_REQUEST,
        reason=str(error),
    )
