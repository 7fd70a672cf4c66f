"""The policy: this device, this answer. Everything that is not scripted is healthy."""

import re
import time
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pushtasks.emulator import checks
from pushtasks.emulator.faults import Faults
from pushtasks.emulator.received import LIMIT, Received

#: Devices that can be scripted at the same time.
SCRIPTS_LIMIT: Final = 1_000_000
RULES: Final = MappingProxyType(
    {
        "reason": checks.WORD,
        "status": checks.STATUS,
        "timestamp": checks.TIMESTAMP,
        "canonical_id": checks.WORD,
        "group": checks.GROUP,
        "times": checks.POSITIVE,
        "retry_after": checks.RETRY_AFTER,
    }
)
_HEX: Final = re.compile(r"[0-9A-Fa-f]+")


class Rejection(NamedTuple):
    """How a scripted device is answered this time."""

    #: In whichever provider's words it was scripted.
    reason: str
    #: None: as the reason has it.
    status: int | None
    #: Milliseconds since 1970: when the provider last knew the token to be dead.
    timestamp: int
    #: The Retry-After header, if any.
    headers: tuple[tuple[str, str], ...]


class Script:
    """What was said about one device."""

    __slots__ = ("canonical_id", "group", "left", "rejection")

    def __init__(self, said: dict[str, Any]) -> None:
        self.canonical_id: str | None = said.get("canonical_id")
        #: Registration ids of a device group's members.
        self.group: list[str] | None = said.get("group")
        self.left: int | None = said.get("times")
        self.rejection: Rejection | None = None
        if said.get("reason") is not None:
            timestamp = said.get("timestamp")
            self.rejection = Rejection(
                said["reason"],
                said.get("status"),
                int(time.time() * 1000) if timestamp is None else timestamp,
                checks.retry_after_header(said.get("retry_after")),
            )

    def take(self) -> bool:
        """Return whether it holds this time, and count it."""
        if self.left is None:
            return True
        self.left = max(self.left - 1, -1)
        return self.left >= 0


class Behaviour:
    """What all services share: scripted devices, faults, and the record of what arrived."""

    def __init__(self, received_limit: int = LIMIT) -> None:
        self.faults = Faults()
        self.received = Received(received_limit)
        self._scripts: dict[str, Script] = {}

    def script(self, token: str, body: Any) -> None:
        """Set how a device is answered from now on.

        Args:
            token: Device token in hexadecimal, registration id, topic or any other target.
            body: The parsed body of `PUT /tokens/<token>`.

        Raises:
            ControlError: The body cannot be understood, or too many devices are scripted.
        """
        said = checks.check(body, RULES)
        if all(said.get(name) is None for name in ("reason", "canonical_id", "group")):
            raise checks.ControlError("the body must name a reason, a canonical_id or a group")
        key = _key(token)
        if key not in self._scripts and len(self._scripts) >= SCRIPTS_LIMIT:
            raise checks.ControlError(f"no more than {SCRIPTS_LIMIT} tokens can be scripted")
        self._scripts[key] = Script(said)

    def forget_scripts(self) -> None:
        """Make all devices healthy."""
        self._scripts.clear()

    def rejection(self, token: str) -> Rejection | None:
        """Return how this push to a device is rejected, and count it; None if it is accepted."""
        script = self.scripted(token)
        return None if script is None else script.rejection

    def group(self, key: str) -> list[str] | None:
        """Return the members of a device group, None if there is no such group."""
        script = self._scripts.get(_key(key))
        return None if script is None else script.group

    def scripted(self, token: str) -> Script | None:
        """Return what was said about a device, and count it; None if it is simply healthy."""
        script = self._scripts.get(_key(token)) if self._scripts else None
        return script if script is not None and script.take() else None


def _key(token: str) -> str:
    """Return the form in which a token is kept: hexadecimal has no upper case."""
    return token.lower() if _HEX.fullmatch(token) else token
