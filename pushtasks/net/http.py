"""An HTTP request and what can become of it, as the protocols see them: no socket, no libcurl.

Named tuples, since every push makes one of each and a frozen dataclass costs three times as much.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Request(NamedTuple):
    """One request to the origin that it is handed to."""

    #: Path with its leading slash, already quoted.
    path: str
    body: bytes
    #: Header lines, `name: value`, names in lower case.
    headers: tuple[str, ...]
    method: str = "POST"
    #: Names, in lower case, of the response headers that the caller wants to see.
    wanted_headers: frozenset[str] = frozenset()
    #: Bytes of the response body that are kept; a longer one is cut there.
    body_limit: int = 64 * 1024


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
