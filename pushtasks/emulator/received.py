"""The record of what arrived: the latest in full, all of them counted."""

import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pushtasks.emulator.exchange import Answer, read_json

#: Entries that are kept unless told otherwise.
LIMIT: Final = 10_000
#: Bytes of a body that an entry keeps; every payload that a provider accepts is shorter.
PAYLOAD_LIMIT: Final = 16_384
#: Characters of a token, likewise.
TOKEN_LIMIT: Final = 16_384
#: Characters of a secret that may be shown.
VISIBLE: Final = 6


class Entry(NamedTuple):
    """One push that was read to its end."""

    number: int
    service: str
    #: Device token, registration id, topic, condition or channel id, cut at TOKEN_LIMIT characters;
    #: None if none could be read.
    token: str | None
    #: What it carries, cut at PAYLOAD_LIMIT bytes.
    body: bytes
    #: Without headers and body.
    answer: Answer
    #: Seconds since 1970.
    at: float
    #: Of an HTTP request, by name; None for the binary gateway.
    headers: Mapping[str, str] | None = None
    #: The fields of a frame of the binary gateway beside token and payload.
    frame: Mapping[str, int | None] | None = None
    #: The number of the request, where one request can be to many devices.
    request: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the entry under the names of the control API."""
        return {
            "n": self.number,
            "service": self.service,
            "token": self.token,
            "payload": _payload(self.body),
            **self._around(),
            "answer": {"status": self.answer.status, "reason": self.answer.reason},
            "at": self.at,
        }

    def _around(self) -> dict[str, Any]:
        """Return what came around the payload, as far as there is such a thing."""
        around: dict[str, Any] = {}
        if self.headers is not None:
            around["headers"] = {name: _shown(name, text) for name, text in self.headers.items()}
        if self.frame is not None:
            around["frame"] = dict(self.frame)
        if self.request is not None:
            around["request"] = self.request
        return around


class Received:
    """A bounded ring of entries with a true count."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.count = 0
        self._entries: deque[Entry] = deque(maxlen=limit)

    def note(
        self,
        service: str,
        token: str | None,
        body: bytes,
        answer: Answer,
        *,
        headers: Mapping[str, str] | None = None,
        frame: Mapping[str, int | None] | None = None,
        request: int | None = None,
    ) -> None:
        """Keep one push and what was answered; see Entry for the arguments."""
        self.count += 1
        entry = Entry(
            self.count,
            service,
            token and token[:TOKEN_LIMIT],
            body[:PAYLOAD_LIMIT],
            Answer(answer.status, reason=answer.reason),
            time.time(),
            headers,
            frame,
            request,
        )
        self._entries.append(entry)

    def since(self, number: int) -> list[dict[str, Any]]:
        """Return the entries after that number, oldest first."""
        newer = len(self._entries) - max(self.count - number, 0)
        return [entry.to_dict() for entry in list(self._entries)[max(newer, 0) :]]

    def clear(self) -> None:
        """Forget all entries; the count begins anew."""
        self.count = 0
        self._entries.clear()


def _payload(body: bytes) -> Any:
    """Return the body as JSON where it is JSON, else as text."""
    try:
        return read_json(body)
    except ValueError:
        return body.decode(errors="replace")


def _shown(name: str, text: str) -> str:
    """Return a header as it may be shown: of a secret, the scheme and the first characters."""
    if name != "authorization":
        return text
    scheme, _, secret = text.partition(" ")
    return f"{scheme} {secret[:VISIBLE]}…" if secret else f"{scheme[:VISIBLE]}…"
