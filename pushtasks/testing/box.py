"""The outbox: pushes that were checked and made as in production, and kept instead of sent."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from types import MappingProxyType
from typing import Any, Final, overload

from celery._state import get_current_task

from pushtasks.masking import mask
from pushtasks.results import Provider, Verdict
from pushtasks.testing.answers import Scripted, accepted, check_reason, verdict
from pushtasks.testing.carrier import current_call
from pushtasks.testing.clients import Kept

#: Pushes that an outbox holds; a test with more than that should clear it in between.
LIMIT: Final = 100_000


@dataclass(frozen=True, slots=True)
class SentPush:
    """A push as it would have gone to the provider, and what the provider would have said.

    A push that is tried again is one more of these.
    """

    provider: Provider
    #: The app's name in the settings.
    app: str
    #: Device token in lower-case hexadecimal, registration id, or `topic:news` and the like.
    token: str
    #: What the device would get: at Apple `aps` and custom keys, at Google the message without its
    #: target, in the fields of the app's protocol.
    payload: dict[str, Any]
    #: HTTP status, or that of the binary gateway; None if the answer was lost.
    status: int | None
    #: None if it was accepted.
    reason: str | None
    #: Apple only: topic with the push type's suffix, and so on, as on the wire.
    topic: str | None = None
    push_type: str | None = None
    priority: int | None = None
    expiration: datetime | None = None
    collapse_id: str | None = None
    apns_id: str | None = None
    environment: str | None = None
    #: Google only.
    dry_run: bool = False
    #: The task that has sent it, such as `pushtasks.send_apns`.
    task: str | None = None
    #: None if it was called as a function.
    task_id: str | None = None
    #: What `apply_async` was told of the delivery: `countdown`, `queue` and so on.
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_accepted(self) -> bool:
        """Whether the provider would have taken it."""
        return self.reason is None

    def __repr__(self) -> str:
        """Name the device by the beginning of its token only, and leave out the payload."""
        return (
            f"<SentPush {self.provider}/{self.app} {mask(self.token)} {self.reason or 'accepted'}>"
        )


@dataclass
class _Script:
    """How a device is answered, and how often still; None: always."""

    scripted: Scripted
    left: int | None

    def take(self) -> bool:
        if self.left is None:
            return True
        self.left -= 1
        return self.left >= 0


class Outbox(Sequence[SentPush]):
    """The pushes that would have gone out, the oldest first; every device is healthy at first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pushes: list[SentPush] = []
        self._scripts: dict[str, _Script] = {}
        self._numbers = count(1)

    @overload
    def __getitem__(self, index: int) -> SentPush: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[SentPush]: ...
    def __getitem__(self, index: int | slice) -> SentPush | Sequence[SentPush]:
        return self._pushes[index]

    def __len__(self) -> int:
        return len(self._pushes)

    def __eq__(self, other: object) -> bool:
        return self._pushes == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Outbox {self._pushes!r}>"

    def to(self, token: str) -> list[SentPush]:
        """Return the pushes to one device."""
        return [push for push in self._pushes if _key(push.token) == _key(token)]

    def clear(self) -> None:
        """Forget the pushes so far; devices are answered as before."""
        with self._lock:
            self._pushes.clear()

    # What the provider is to say ----------------------------------------------------------------

    def reject(
        self,
        token: str,
        reason: str,
        *,
        status: int | None = None,
        dead_since: datetime | None = None,
        retry_after: float | None = None,
        times: int | None = None,
    ) -> None:
        """Have pushes to a device rejected from now on.

        Args:
            token: Device token, registration id, or `topic:news` and the like.
            reason: A word of the provider's; a device that is gone is `Unregistered`, and said so
                in the words of whichever protocol.
            status: HTTP status; left out, the one that goes with the reason.
            dead_since: Since when Apple calls the device gone, with a time zone; left out, now.
            retry_after: Seconds for which the provider asks to wait.
            times: How often, until the device is healthy again; left out, always.

        Raises:
            ValueError: The reason is none that a provider has, and comes without a status; or
                `dead_since` has no time zone.
        """
        if dead_since is not None and dead_since.tzinfo is None:
            raise ValueError(f"dead_since {dead_since.isoformat()} has no time zone: add UTC")
        check_reason(reason, status)
        scripted = Scripted(reason, status, dead_since, retry_after)
        self._script(token, scripted, times)

    def replace(self, registration_id: str, canonical_id: str) -> None:
        """Have pushes to a registration id accepted, with another one to store in its place."""
        self._script(registration_id, Scripted(canonical_id=canonical_id), None)

    def lose_answer(self, token: str, *, times: int | None = None) -> None:
        """Let the answer to pushes to a device be lost, so that nobody knows what became of them.

        Args:
            token: As of `reject`.
            times: As of `reject`.
        """
        self._script(token, Scripted(), times)

    def accept(self, token: str) -> None:
        """Have pushes to a device accepted again."""
        with self._lock:
            self._scripts.pop(_key(token), None)

    def _script(self, token: str, scripted: Scripted, times: int | None) -> None:
        with self._lock:
            self._scripts[_key(token)] = _Script(scripted, times)

    # What the clients do ------------------------------------------------------------------------

    def keep(self, push: Kept) -> Verdict:
        """Keep a push, and return what the provider says.

        Raises:
            OverflowError: It is full.
        """
        with self._lock:
            if len(self._pushes) >= LIMIT:
                raise OverflowError(f"outbox holds {LIMIT} pushes: clear() it now and then")
            answer = self._answer(push)
            self._pushes.append(_sent(push, answer))
            return answer

    def _answer(self, push: Kept) -> Verdict:
        message_id = push.more.get("apns_id") or f"projects/outbox/messages/{next(self._numbers)}"
        script = self._scripts.get(_key(push.token))
        if script is None or not script.take():
            return accepted(push.protocol, message_id)
        return verdict(push.protocol, message_id, script.scripted, datetime.now(UTC))


def _sent(push: Kept, answer: Verdict) -> SentPush:
    task: Any = get_current_task()
    call = current_call()
    return SentPush(
        push.provider,
        push.app,
        push.token,
        push.payload,
        answer.status,
        answer.reason,
        **push.more,
        task=task and task.name,
        task_id=task and task.request.id,
        options=MappingProxyType(dict(call.options) if call else {}),
    )


def _key(token: str) -> str:
    """Return the form in which a token is looked up: hexadecimal has no upper case."""
    return token.lower() if all(digit in "0123456789abcdefABCDEF" for digit in token) else token
