"""Where requests go, and everything that two of them must share to share a connection."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Origin:
    """One server as one identity sees it.

    APNs binds a connection to the team and key of its first push, so origins that differ in
    `identity` never share a connection even where the host is the same.
    """

    #: `https://host` or `https://host:port`.
    url: str
    #: Whose connections these are, for instance team and key id; part of what tells origins apart.
    identity: str = ""
    #: Client certificate (chain) and its unencrypted key, both PEM.
    certificate: bytes | None = field(default=None, repr=False)
    certificate_key: bytes | None = field(default=None, repr=False)
    #: Authorities to trust instead of certifi's.
    ca_file: str | None = None
    #: `http://user:password@host:port` (CONNECT) or `socks5h://…`.
    proxy: str | None = field(default=None, repr=False)
    connections: int = 1
    #: Streams on one connection; the server's SETTINGS may allow fewer.
    streams: int = 100
    #: Seconds without use after which a connection is not used again.
    idle_age: float = 3600.0
    #: Whether a request whose connection died unanswered may go out again by itself.
    resend: bool = True

    @property
    def server(self) -> str:
        """Host, and port if the URL has one."""
        return urlsplit(self.url).netloc
