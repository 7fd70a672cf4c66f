"""HTTP/2 below the policy: h2 made to count streams as providers do, and one request of many."""

from typing import TYPE_CHECKING, Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings

from pushtasks.emulator.exchange import BODY_LIMIT, Request

if TYPE_CHECKING:
    import asyncio

#: Streams between two clearances of those that are over.
CLEARANCE: Final = 256
#: The SETTINGS seen of APNs (jchambers/pushy, issue 878).
HEADER_LIST_LIMIT: Final = 8000
#: Bytes of headers that we remember for a client, whatever it could remember itself: ours are new
#: in each answer, and all that is remembered is searched each time.
HEADER_TABLE_LIMIT: Final = 4096
PSEUDO_HEADERS: Final = frozenset({b":method", b":path", b":scheme", b":authority"})
#: Headers of HTTP/1.1 that HTTP/2 does not have.
CONNECTION_HEADERS: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
#: h2 would insist on `:authority`, which APNs does not; `is_malformed` checks the rest.
CONFIG: Final = H2Configuration(
    client_side=False,
    header_encoding=None,
    validate_inbound_headers=False,
    normalize_inbound_headers=False,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)


class Frames(H2Connection):
    """h2, but for the limit of streams.

    h2 takes a stream too many for the end of the connection and counts all streams anew for each
    that opens. Providers refuse just that stream, and we keep count ourselves.
    """

    def __init__(self, streams: int) -> None:
        super().__init__(CONFIG)
        self.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: streams,
                SettingCodes.MAX_HEADER_LIST_SIZE: HEADER_LIST_LIMIT,
            },
        )
        self.decoder.max_header_list_size = HEADER_LIST_LIMIT
        self._begun = 0

    def limit_header_table(self) -> None:
        """Make no more use of the client's memory for headers than is of use."""
        self.encoder.header_table_size = min(self.encoder.header_table_size, HEADER_TABLE_LIMIT)

    @property
    def open_inbound_streams(self) -> int:
        """Never too many; now and then, let h2 drop those that are over."""
        self._begun += 1
        if self._begun % CLEARANCE == 0:
            super().open_inbound_streams  # noqa: B018 - reading it is what clears
        return 0


class Stream:
    """A request on its way in, or its answer on its way out."""

    __slots__ = ("_body", "headers", "length", "timer")

    def __init__(self, headers: list[tuple[bytes, bytes]]) -> None:
        self.headers = headers
        self.length = 0
        self._body = bytearray()
        self.timer: asyncio.TimerHandle | None = None

    def receive(self, data: bytes) -> None:
        """Take in a part of the body."""
        self.length += len(data)
        if len(self._body) < BODY_LIMIT:
            self._body += data

    def request(self) -> Request:
        """Return the request, once it has ended."""
        fields = {name.decode("latin-1"): text.decode("latin-1") for name, text in self.headers}
        has_duplicates = len(fields) != len(self.headers)
        method, path = fields.pop(":method"), fields.pop(":path")
        del fields[":scheme"]
        if ":authority" in fields:
            fields["host"] = fields.pop(":authority")
        body = bytes(self._body[:BODY_LIMIT])
        return Request(method, path, fields, body, self.length, has_duplicates)


def is_malformed(headers: list[tuple[bytes, bytes]]) -> bool:
    """Return whether HTTP/2 itself forbids these request headers (RFC 9113, section 8)."""
    names = [name for name, _ in headers]
    pseudo = {name for name in names if name.startswith(b":")}
    return (
        not {b":method", b":path", b":scheme"} <= pseudo <= PSEUDO_HEADERS
        or not CONNECTION_HEADERS.isdisjoint(names)
        or any(name != name.lower() for name in names)
    )
