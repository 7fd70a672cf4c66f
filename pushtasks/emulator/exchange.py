"""What passes between a listener, which knows HTTP, and a service, which knows its provider."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

from pushtasks.emulator.faults import ServiceFaults
from pushtasks.emulator.traffic import Traffic

#: Bytes of a request body that are kept; the rest is read, counted and dropped.
BODY_LIMIT: Final = 2**19
#: Objects and lists within each other that JSON may have. Python itself gives up at a depth that
#: depends on who calls: what could be read could not be shown again.
DEPTH_LIMIT: Final = 500


class Request(NamedTuple):
    """A request that was read to its end."""

    method: str
    path: str
    #: Names in lower case, pseudo-headers left out.
    headers: Mapping[str, str]
    #: The first BODY_LIMIT bytes.
    body: bytes
    #: Bytes of the whole body.
    length: int
    #: Whether a header came twice.
    has_duplicates: bool = False


class Answer(NamedTuple):
    """The response to one request, or to one notification of the binary gateway."""

    #: Of HTTP, or the gateway's status byte.
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    #: The provider's word for what is wrong; None if it accepted.
    reason: str | None = None


class Session(Protocol):
    """What a service remembers of one connection."""

    @property
    def streams(self) -> int:
        """How many streams the client may have open from now on."""

    def answer(self, request: Request) -> Answer:
        """Judge and note one request."""


class Service(Protocol):
    """One provider's service, as its listener sees it."""

    faults: ServiceFaults
    traffic: Traffic

    def faults_at(self, path: str) -> ServiceFaults:
        """Return what goes wrong with requests of that path."""

    def session(self, certificate_topic: str | None) -> Session:
        """Begin a connection.

        Args:
            certificate_topic: The subject's UID of the client certificate, None without one.
        """


def read_json(body: bytes) -> Any:
    """Return what JSON in UTF-8 says, more strictly than `json.loads`: NaN is no number.

    Raises:
        ValueError: It is no JSON, or more deeply nested than DEPTH_LIMIT.
    """
    try:
        value = _DECODER.decode(body.decode())
    except RecursionError:
        raise ValueError("it is too deeply nested") from None
    if len(body) >= 2 * DEPTH_LIMIT and _depth(value) > DEPTH_LIMIT:
        raise ValueError("it is too deeply nested")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [
            entry for each in level for entry in (each.values() if isinstance(each, dict) else each)
        ]
    return depth


def has_body(method: str, status: int) -> bool:
    """Return whether the answer to such a request may have a body (RFC 9110, section 6.4.1)."""
    return method != "HEAD" and status not in {204, 304}


def json_answer(
    status: int,
    body: Any,
    headers: tuple[tuple[str, str], ...] = (),
    reason: str | None = None,
) -> Answer:
    """Return an answer whose body is compact JSON."""
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    # Half a surrogate pair, which clients can send, becomes \udXXX again, as JSON has it.
    data = text.encode(errors="backslashreplace")
    return Answer(status, (*headers, ("content-type", "application/json")), data, reason)


def html_answer(
    status: int, headers: tuple[tuple[str, str], ...] = (), reason: str | None = None
) -> Answer:
    """Return the kind of page that Google's front ends answer with by themselves."""
    page = f"<!DOCTYPE html>\n<html lang=en><title>Error {status}</title>\n"
    return Answer(
        status,
        (*headers, ("content-type", "text/html")),
        page.encode(),
        reason or f"Status{status}",
    )
