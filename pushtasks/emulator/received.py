"""The record of what arrived: the latest in full, all of them counted."""

import json
import time
from collections import deque
from typing import Any, Final, NamedTuple

from pushtasks.emulator.exchange import Answer, Request

#: Entries that are kept unless told otherwise.
LIMIT: Final = 10_000
#: Bytes of a body that an entry keeps; every payload that a provider accepts is shorter.
PAYLOAD_LIMIT: Final = 16_384
#: Characters of a secret that may be shown.
VISIBLE: Final = 6


class Entry(NamedTuple):
    """One push that was read to its end."""

    number: int
    service: str
    #: Device token, registration id, topic, condition or channel id; None if none could be read.
    token: str | None
    request: Request
    answer: Answer
    #: Seconds since 1970.
    at: float

    def to_dict(self) -> dict[str, Any]:
        """Return the entry under the names of the control API."""
        return {
            "n": self.number,
            "service": self.service,
            "token": self.token,
            "payload": _payload(self.request.body),
            "headers": {name: _shown(name, text) for name, text in self.request.headers.items()},
            "answer": {"status": self.answer.status, "reason": self.answer.reason},
            "at": self.at,
        }


class Received:
    """A bounded ring of entries with a true count."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.count = 0
        self._entries: deque[Entry] = deque(maxlen=limit)

    def note(self, service: str, token: str | None, request: Request, answer: Answer) -> None:
        """Keep one request and what was answered."""
        self.count += 1
        if request.length > PAYLOAD_LIMIT:
            request = request._replace(body=request.body[:PAYLOAD_LIMIT])
        self._entries.append(Entry(self.count, service, token, request, answer, time.time()))

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
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def _shown(name: str, text: str) -> str:
    """Return a header as it may be shown: of a secret, the scheme and the first characters."""
    if name != "authorization":
        return text
    scheme, _, secret = text.partition(" ")
    return f"{scheme} {secret[:VISIBLE]}…" if secret else f"{scheme[:VISIBLE]}…"
