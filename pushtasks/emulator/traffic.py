"""What one service has seen of connections and requests, for those who ask how a client behaves."""

import hashlib
import time
from collections import OrderedDict
from typing import Any, Final, Protocol

#: Distinct provider tokens that are remembered; older ones are forgotten.
PROVIDER_TOKENS_LIMIT: Final = 1000


class Connection(Protocol):
    """A live connection, as far as others may touch it."""

    def faults_changed(self) -> None:
        """Take notice of the faults in force."""

    def abort(self) -> None:
        """Break the connection at once."""


class Connections:
    """The connections of one service, open and ever opened since the last reset."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self.reset()

    def reset(self) -> None:
        """Begin to count anew; what is open stays so."""
        self._opened = 0

    def connection_opened(self, connection: Connection) -> None:
        """Note a connection whose TLS handshake is over."""
        self._opened += 1
        self.connections.add(connection)

    def connection_closed(self, connection: Connection) -> None:
        """Note the end of a connection, whoever ended it."""
        self.connections.discard(connection)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts under the names of the control API."""
        return {
            "connections_opened": self._opened,
            "connections_open": len(self.connections),
        }


class GatewayTraffic(Connections):
    """Counts of the binary gateway."""

    def reset(self) -> None:
        """Begin to count anew; what is open stays so."""
        super().reset()
        self._discarded = 0

    def discarded(self) -> None:
        """Note a notification that was thrown away because it came after an error."""
        self._discarded += 1

    def to_dict(self) -> dict[str, Any]:
        """Return the counts under the names of the control API."""
        return {**super().to_dict(), "discarded": self._discarded}


class Requests(Connections):
    """Counts of a service that is reached over another's connections."""

    def reset(self) -> None:
        """Begin to count anew."""
        super().reset()
        self._requests = 0

    def request_ended(self) -> None:
        """Note a request that was read to its end."""
        self._requests += 1

    def to_dict(self) -> dict[str, Any]:
        """Return the count under the name of the control API."""
        return {"requests": self._requests}


class Traffic(Connections):
    """Counts of one HTTP service since the start or the last reset."""

    def __init__(self) -> None:
        self._in_flight = 0
        super().__init__()

    def reset(self) -> None:
        """Begin to count anew; what is open and in flight stays so."""
        super().reset()
        self._goaways = 0
        self._refused = 0
        self._peak = self._in_flight
        self._since = time.monotonic()
        self._busy = 0.0
        self._stream_seconds = 0.0
        self._provider_tokens: OrderedDict[str, None] = OrderedDict()

    def stream_opened(self) -> None:
        """Note a request whose headers have arrived."""
        self._advance()
        self._in_flight += 1
        self._peak = max(self._peak, self._in_flight)

    def streams_closed(self, count: int = 1) -> None:
        """Note streams that are answered, reset or lost."""
        self._advance()
        self._in_flight -= count

    def goaway_sent(self) -> None:
        """Note a GOAWAY."""
        self._goaways += 1

    def stream_refused(self) -> None:
        """Note a stream that was refused unread."""
        self._refused += 1

    def provider_token_seen(self, encoded: str) -> None:
        """Note a JWT that was not in use on its connection before."""
        digest = hashlib.sha256(encoded.encode()).hexdigest()
        self._provider_tokens[digest] = None
        if len(self._provider_tokens) > PROVIDER_TOKENS_LIMIT:
            self._provider_tokens.popitem(last=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts under the names of the control API."""
        self._advance()
        return {
            **super().to_dict(),
            "in_flight": self._in_flight,
            "most_in_flight": self._peak,
            "mean_in_flight": self._stream_seconds / self._busy if self._busy else 0.0,
            "goaways": self._goaways,
            "refused": self._refused,
            "provider_tokens": len(self._provider_tokens),
            "provider_token_hashes": list(self._provider_tokens),
        }

    def _advance(self) -> None:
        """Bring the mean up to now; time in which nothing was in flight does not count."""
        now = time.monotonic()
        if self._in_flight:
            self._busy += now - self._since
            self._stream_seconds += self._in_flight * (now - self._since)
        self._since = now
