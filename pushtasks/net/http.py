"""An HTTP request and what can become of it, as the protocols see them: no socket, no libcurl.

Named tuples, since every push makes one of each and a frozen dataclass costs three times as much.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
#: Seconds; no Retry-After is taken for longer than that.
LONGEST_RETRY_AFTER: Final = 86_400.0

_NONE: Final[frozenset[str]] = frozenset()
_BODY_LIMIT: Final = 32 * 1024
_new: Final = tuple.__new__


class Request(NamedTuple):
    """One request to the origin that it is handed to."""

    #: Path with its leading slash, already quoted.
    path: str
    body: bytes
    #: Header lines, `name: value`, names in lower case.
    headers: tuple[str, ...]
    method: str = "POST"
    #: Names, in lower case, of the response headers that the caller wants to see.
    wanted_headers: frozenset[str] = _NONE
    #: Bytes of the response body that are kept; a longer one is cut there.
    body_limit: int = _BODY_LIMIT


def post(path: str, body: bytes, headers: tuple[str, ...]) -> Request:
    """Return a `Request` that leaves the rest as it is; the class itself takes twice as long."""
    return _new(Request, (path, body, headers, "POST", _NONE, _BODY_LIMIT))


class Response(NamedTuple):
    """A complete response, whatever it says."""

    status: int
    #: The beginning of the body; providers' answers are far shorter than what is kept.
    body: bytes = b""
    #: Only those asked for, names in lower case.
    headers: Mapping[str, str] = NO_HEADERS
    #: Seconds, from the Retry-After header in either of its forms (seconds or an HTTP date).
    retry_after: float | None = None


class Unanswered(NamedTuple):
    """No response came."""

    #: Whether the provider may have received the request.
    maybe_sent: bool
    #: One line for people: what went wrong, without any secret.
    reason: str


Answer = Response | Unanswered


def read_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks to wait, at most a day.

    Args:
        value: Whole seconds or an HTTP date; None if there is no such header.
        now: The instant from which to count; aware.

    Returns:
        None if it is neither, or a date that has passed.

    Source: RFC 9110, section 10.2.3.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdecimal():
        seconds = float(text)
    else:
        try:
            seconds = (parsedate_to_datetime(text) - now).total_seconds()
        except (TypeError, ValueError, OverflowError):  # TypeError: a date without a zone
            return None
    return min(seconds, LONGEST_RETRY_AFTER) if seconds > 0 else None


def json_object(body: bytes) -> Mapping[str, Any]:
    """Return the JSON object that a body holds; an empty one if it holds anything else."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):  # no JSON, no UTF-8, or nested without end
        return NOTHING
    return content if isinstance(content, dict) else NOTHING
