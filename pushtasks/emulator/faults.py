"""What goes wrong on purpose, by service; each fault may be limited in how often it strikes."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Generic, NamedTuple, TypeVar

from pushtasks.emulator import checks

T = TypeVar("T")

SERVICES: Final = ("apns", "gateway", "feedback", "fcm", "gcm")
RULES: Final = MappingProxyType(
    {
        "service": checks.one_of(SERVICES),
        "times": checks.POSITIVE,
        "goaway_every": checks.POSITIVE,
        "refuse_every": checks.POSITIVE,
        "reset_after": checks.POSITIVE,
        "max_streams": checks.POSITIVE,
        "close_after": checks.POSITIVE,
        "shutdown_every": checks.POSITIVE,
        "identifier_zero": checks.BOOLEAN,
        "stall": checks.BOOLEAN,
        "delay": checks.DELAY,
        "status": checks.STATUS,
        "reason": checks.WORD,
        "retry_after": checks.RETRY_AFTER,
        "body": checks.TEXT,
        "body_size": checks.BODY_SIZE,
    }
)
#: Which of them say more about `status`.
ANSWER_KEYS: Final = frozenset({"reason", "retry_after", "body", "body_size"})
_HTTP: Final = frozenset({"delay", "stall", "reset_after", "status"})
_HTTP2: Final = _HTTP | {"goaway_every", "refuse_every", "max_streams"}
_GATEWAY: Final = frozenset({"close_after", "shutdown_every", "identifier_zero"})
#: What can go wrong where; the connections of GCM are those of FCM.
KNOWN: Final = MappingProxyType(
    {
        "apns": _HTTP2,
        "gateway": _GATEWAY | {"delay", "stall", "reset_after"},
        "feedback": frozenset({"delay", "stall", "reset_after"}),
        "fcm": _HTTP2,
        "gcm": _HTTP,
    }
)
#: The reason in a GOAWAY that was given none.
GOAWAY_REASON: Final = "Shutdown"


@dataclass(slots=True)
class Fault(Generic[T]):
    """One fault; several services may share its count."""

    value: T
    #: How often it may still strike; None: always.
    left: int | None = None

    def take(self) -> bool:
        """Return whether it strikes now, and count it."""
        if self.left is None:
            return True
        self.left = max(self.left - 1, -1)
        return self.left >= 0


class GoAway(NamedTuple):
    """Say GOAWAY after every so many requests of a connection."""

    every: int
    #: The debug data.
    body: bytes


class ScriptedAnswer(NamedTuple):
    """The same answer to every request."""

    status: int
    reason: str | None
    headers: tuple[tuple[str, str], ...]
    #: None: the provider's own form.
    body: bytes | None


@dataclass(slots=True)
class ServiceFaults:
    """What goes wrong at one service; None is health."""

    goaway: Fault[GoAway] | None = None
    refuse: Fault[int] | None = None
    reset: Fault[int] | None = None
    close: Fault[int] | None = None
    shutdown: Fault[int] | None = None
    identifier_zero: Fault[bool] | None = None
    max_streams: Fault[int] | None = None
    stall: Fault[bool] | None = None
    delay: Fault[float] | None = None
    answer: Fault[ScriptedAnswer] | None = None

    def clear(self) -> None:
        """Go back to health."""
        for name in self.__slots__:
            setattr(self, name, None)


#: Key of the control API → attribute of ServiceFaults.
_ATTRIBUTES: Final = MappingProxyType(
    {
        "goaway_every": "goaway",
        "refuse_every": "refuse",
        "reset_after": "reset",
        "close_after": "close",
        "shutdown_every": "shutdown",
        "identifier_zero": "identifier_zero",
        "max_streams": "max_streams",
        "stall": "stall",
        "delay": "delay",
        "status": "answer",
    }
)


class Faults:
    """The faults of all services, as the control API sets them."""

    def __init__(self) -> None:
        self.services = {name: ServiceFaults() for name in SERVICES}

    def apply(self, body: Any) -> None:
        """Replace the faults that are named; null, 0 seconds and false take one away.

        Args:
            body: The parsed body of `POST /faults`. Without a service, each takes what it knows.

        Raises:
            ControlError: It cannot be understood, or the service does not know such a fault;
                nothing has changed.
        """
        said = checks.check(body, RULES)
        struck = _faults(said)
        service: str | None = said.get("service")
        if service is not None:
            _check_known(struck, service)
        for name in SERVICES if service is None else (service,):
            for key in struck.keys() & KNOWN[name]:
                setattr(self.services[name], _ATTRIBUTES[key], struck[key])

    def clear(self) -> None:
        """Take all faults away."""
        for faults in self.services.values():
            faults.clear()


def _faults(said: dict[str, Any]) -> dict[str, Fault[Any] | None]:
    """Return the faults that a checked body names, by its keys."""
    if ANSWER_KEYS & said.keys() and not {"status", "goaway_every"} & said.keys():
        key = min(ANSWER_KEYS & said.keys())
        raise checks.ControlError(f"{key} needs a status beside it")
    values = {key: said[key] for key in _ATTRIBUTES if key in said}
    if not values:
        raise checks.ControlError("the body names no fault")
    if values.get("goaway_every"):
        values["goaway_every"] = _goaway(said)
    if values.get("status"):
        values["status"] = _answer(said)
    return {
        key: Fault(value, said.get("times")) if value else None for key, value in values.items()
    }


def _check_known(keys: Iterable[str], service: str) -> None:
    for key in keys:
        if key not in KNOWN[service]:
            known = ", ".join(sorted(KNOWN[service]))
            raise checks.ControlError(f"{service} knows no {key}: it knows {known}")


def _goaway(said: dict[str, Any]) -> GoAway:
    body = {"reason": said.get("reason") or GOAWAY_REASON}
    return GoAway(said["goaway_every"], json.dumps(body, separators=(",", ":")).encode())


def _answer(said: dict[str, Any]) -> ScriptedAnswer:
    text, size = said.get("body"), said.get("body_size")
    if text is not None and size is not None:
        raise checks.ControlError("body and body_size exclude each other")
    body = text.encode() if text is not None else None
    if size is not None:
        body = b"\xff\x00garbage" * (size // 9) + b"\xff" * (size % 9)
    return ScriptedAnswer(
        said["status"],
        said.get("reason"),
        checks.retry_after_header(said.get("retry_after")),
        body,
    )
