"""What goes wrong on purpose, by service; each fault may be limited in how often it strikes."""

import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Generic, NamedTuple, TypeVar

from pushtasks.emulator import checks

T = TypeVar("T")

SERVICES: Final = ("apns", "fcm")
RULES: Final = MappingProxyType(
    {
        "service": checks.one_of(SERVICES),
        "times": checks.POSITIVE,
        "goaway_every": checks.POSITIVE,
        "refuse_every": checks.POSITIVE,
        "reset_after": checks.POSITIVE,
        "max_streams": checks.POSITIVE,
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
    max_streams: Fault[int] | None = None
    stall: Fault[bool] | None = None
    delay: Fault[float] | None = None
    answer: Fault[ScriptedAnswer] | None = None

    def clear(self) -> None:
        """Go back to health."""
        for name in self.__slots__:
            setattr(self, name, None)


class Faults:
    """The faults of all services, as the control API sets them."""

    def __init__(self) -> None:
        self.services = {name: ServiceFaults() for name in SERVICES}

    def apply(self, body: Any) -> None:
        """Replace the faults that are named; null, 0 seconds and false take one away.

        Args:
            body: The parsed body of `POST /faults`.

        Raises:
            ControlError: It cannot be understood; nothing has changed.
        """
        said = checks.check(body, RULES)
        struck = _faults(said)
        for name in SERVICES if said.get("service") is None else (said["service"],):
            for attribute, fault in struck.items():
                setattr(self.services[name], attribute, fault)

    def clear(self) -> None:
        """Take all faults away."""
        for faults in self.services.values():
            faults.clear()


def _faults(said: dict[str, Any]) -> dict[str, Fault[Any] | None]:
    """Return the faults that a checked body names, by attribute of ServiceFaults."""
    if ANSWER_KEYS & said.keys() and not {"status", "goaway_every"} & said.keys():
        key = min(ANSWER_KEYS & said.keys())
        raise checks.ControlError(f"{key} needs a status beside it")
    values: dict[str, Any] = {}
    if "goaway_every" in said:
        values["goaway"] = said["goaway_every"] and _goaway(said)
    if "status" in said:
        values["answer"] = said["status"] and _answer(said)
    for key, attribute in (
        ("refuse_every", "refuse"),
        ("reset_after", "reset"),
        ("max_streams", "max_streams"),
        ("stall", "stall"),
        ("delay", "delay"),
    ):
        if key in said:
            values[attribute] = said[key]
    if not values:
        raise checks.ControlError("the body names no fault")
    return {
        attribute: Fault(value, said.get("times")) if value else None
        for attribute, value in values.items()
    }


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
