"""How the control API checks what it is told: every mistake is named with its key and rule."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

#: Bytes of a body that a fault may ask for.
BODY_SIZE_LIMIT: Final = 16 * 1024 * 1024
#: Seconds that a fault may hold an answer back.
DELAY_LIMIT: Final = 3600
#: Members of a device group.
GROUP_LIMIT: Final = 20
_HEADER_VALUE: Final = re.compile(r"[!-~]+( +[!-~]+)*")
_DEVICE_TOKEN: Final = re.compile(r"([0-9A-Fa-f]{2}){1,100}")


class ControlError(ValueError):
    """A control request cannot be obeyed; one line that names the key and the rule."""


class Rule(NamedTuple):
    """What a key may hold."""

    text: str
    holds: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


POSITIVE: Final = Rule("a whole number from 1", lambda value: _is_whole(value, 1, 2**31 - 1))
TIMESTAMP: Final = Rule(
    "milliseconds since 1970, a whole number", lambda value: _is_whole(value, 0, 2**53)
)
BOOLEAN: Final = Rule("true or false", lambda value: isinstance(value, bool))
TEXT: Final = Rule("text", lambda value: isinstance(value, str))
WORD: Final = Rule(
    "text without spaces, at least one character",
    lambda value: isinstance(value, str) and value.isprintable() and len(value.split()) == 1,
)
SECONDS: Final = Rule(
    "seconds since 1970, a whole number", lambda value: _is_whole(value, 0, 2**32 - 1)
)
DEVICE_TOKEN: Final = Rule(
    "1 to 100 bytes in hexadecimal",
    lambda value: isinstance(value, str) and _DEVICE_TOKEN.fullmatch(value) is not None,
)
DELAY: Final = Rule(
    f"seconds from 0 to {DELAY_LIMIT}",
    lambda value: _is_number(value) and 0 <= value <= DELAY_LIMIT,
)
STATUS: Final = Rule("an HTTP status from 200 to 599", lambda value: _is_whole(value, 200, 599))
RETRY_AFTER: Final = Rule(
    "seconds or an HTTP date",
    lambda value: (
        (isinstance(value, str) and _HEADER_VALUE.fullmatch(value) is not None)
        or (_is_number(value) and 0 <= value < math.inf)
    ),
)
GROUP: Final = Rule(
    f"a list of 1 to {GROUP_LIMIT} registration ids",
    lambda value: (
        isinstance(value, list)
        and 0 < len(value) <= GROUP_LIMIT
        and all(WORD.holds(member) for member in value)
    ),
)
BODY_SIZE: Final = Rule(
    f"bytes from 0 to {BODY_SIZE_LIMIT}", lambda value: _is_whole(value, 0, BODY_SIZE_LIMIT)
)


def one_of(names: tuple[str, ...]) -> Rule:
    """Return the rule of a closed set of names."""
    return Rule(f"one of {', '.join(names)}", lambda value: value in names)


def check(body: Any, rules: Mapping[str, Rule]) -> dict[str, Any]:
    """Check a JSON body against the keys it may have; null stands for "nothing" everywhere.

    Raises:
        ControlError: It is no object, a key is unknown, or a value breaks its rule.
    """
    if not isinstance(body, dict):
        raise ControlError("the body must be a JSON object")
    for key, value in body.items():
        if key not in rules:
            raise ControlError(f"unknown key {key!r}: known are {', '.join(sorted(rules))}")
        if value is not None and not rules[key].holds(value):
            raise ControlError(f"{key} must be {rules[key].text}, not {value!r:.60}")
    return body


def retry_after_header(value: float | str | None) -> tuple[tuple[str, str], ...]:
    """Return the Retry-After header that says so, as a tuple of headers."""
    if value is None:
        return ()
    return (("retry-after", f"{value:g}" if isinstance(value, float) else str(value)),)
