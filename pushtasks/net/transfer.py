"""One reusable libcurl easy handle: a request goes in, an answer comes out."""

from typing import Final, NamedTuple, Protocol

import certifi
import pycurl

from pushtasks.net.http import NO_HEADERS, Answer, Request, Response, Unanswered
from pushtasks.net.origin import Origin
from pushtasks.net.sockets import limit_unacknowledged

CONNECT_TIMEOUT: Final = 5.0
#: Seconds of silence on a socket before the kernel asks whether the peer is still there, and
#: between such questions: often enough for a NAT that forgets idle connections.
KEEP_ALIVE_IDLE: Final = 30
KEEP_ALIVE_INTERVAL: Final = 10
#: Seconds that sent bytes may stay unacknowledged before the kernel gives the connection up.
USER_TIMEOUT: Final = 10.0

#: What libcurl says when a request met a GOAWAY, a refusal or a dead connection five times.
TRIED_OFTEN_ENOUGH: Final = "Connection died"
#: Part of what libcurl logs of a stream that the server did not process.
REFUSED: Final = b"refused"
#: What it says when a proxy did not let a connection through.
NO_TUNNEL: Final = "CONNECT tunnel failed"
#: CURLE_PROXY, which pycurl does not name.
E_PROXY: Final = 97
REASONS: Final = {
    pycurl.E_OPERATION_TIMEDOUT: "no answer in time",
    pycurl.E_COULDNT_CONNECT: "no connection",
    pycurl.E_COULDNT_RESOLVE_HOST: "no such host",
    pycurl.E_COULDNT_RESOLVE_PROXY: "no such proxy",
    pycurl.E_PEER_FAILED_VERIFICATION: "the server's certificate is not trusted",
    pycurl.E_SSL_CONNECT_ERROR: "no TLS",
}
#: Failures before a request could have left.
NEVER_SENT: Final = frozenset(
    {
        pycurl.E_COULDNT_CONNECT,
        pycurl.E_COULDNT_RESOLVE_HOST,
        pycurl.E_COULDNT_RESOLVE_PROXY,
        E_PROXY,
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CACERT_BADFILE,
        pycurl.E_SSL_CERTPROBLEM,
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_URL_MALFORMAT,
    }
)


#: What setting up a transfer raises if there is a character that libcurl cannot take.
UNUSABLE: Final = (pycurl.error, ValueError)


class Sink(Protocol):
    """Takes the answers of one submission, in the I/O thread."""

    def deliver(self, place: int, answer: Answer) -> None:
        """Take the answer to the request with this place in the submission."""


class Job(NamedTuple):
    """A request on its way, and who waits for its answer."""

    request: Request
    #: Seconds for the answer once the request is under way, and for the wait before.
    timeout: float
    #: Monotonic time at which it was handed over.
    submitted: float
    sink: Sink
    #: Which of the sink's requests it is.
    place: int


class Connections(Protocol):
    """What a transfer tells about the connections it goes over."""

    def opened(self) -> None:
        """Hear that libcurl has opened one more."""


class Transfer(pycurl.Curl):
    """An easy handle bound to one origin, used for one job after the other."""

    __slots__ = (
        "_body",
        "_connections",
        "_headers",
        "_kept",
        "_limit",
        "_origin",
        "_position",
        "_refused",
        "job",
        "started",
    )

    def __init__(self, origin: Origin, connections: "Connections") -> None:
        super().__init__()
        self.job: Job | None = None
        #: Monotonic time at which the job was taken up.
        self.started = 0.0
        self._origin = origin
        self._connections = connections
        self._body: list[bytes] = []
        self._kept = 0
        self._limit = 0
        self._headers: dict[str, str] = {}
        self._position = 0
        self._refused = False
        self._set_transport(origin)
        self._set_identity(origin)
        self.setopt(pycurl.POST, 1)
        self.setopt(pycurl.WRITEFUNCTION, self._on_body)
        self.setopt(pycurl.SOCKOPTFUNCTION, self._on_connection)
        if not origin.resend:
            self.setopt(pycurl.READFUNCTION, self._on_read)
            self.setopt(pycurl.SEEKFUNCTION, self._on_seek)
            self.setopt(pycurl.VERBOSE, 1)
            self.setopt(pycurl.DEBUGFUNCTION, self._on_debug)

    def _set_transport(self, origin: Origin) -> None:
        self.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        self.setopt(pycurl.PIPEWAIT, 1)
        self.setopt(pycurl.NOSIGNAL, 1)
        self.setopt(pycurl.CONNECTTIMEOUT_MS, int(CONNECT_TIMEOUT * 1000))
        self.setopt(pycurl.MAXAGE_CONN, int(origin.idle_age))
        self.setopt(pycurl.TCP_KEEPALIVE, 1)
        self.setopt(pycurl.TCP_KEEPIDLE, KEEP_ALIVE_IDLE)
        self.setopt(pycurl.TCP_KEEPINTVL, KEEP_ALIVE_INTERVAL)
        # An empty text also keeps libcurl from looking at the environment's proxies.
        self.setopt(pycurl.PROXY, origin.proxy or "")

    def _set_identity(self, origin: Origin) -> None:
        self.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
        self.setopt(pycurl.SSL_VERIFYPEER, 1)
        self.setopt(pycurl.SSL_VERIFYHOST, 2)
        self.setopt(pycurl.CAINFO, origin.ca_file or certifi.where())
        if origin.certificate is not None:
            self.setopt(pycurl.SSLCERT_BLOB, origin.certificate)
            self.setopt(pycurl.SSLCERTTYPE, "PEM")
        if origin.certificate_key is not None:
            self.setopt(pycurl.SSLKEY_BLOB, origin.certificate_key)

    def open_only(self) -> None:
        """Prepare to open a connection, and to leave it in the pool without any request on it."""
        self.setopt(pycurl.URL, self._origin.url)
        self.setopt(pycurl.FRESH_CONNECT, 1)
        self.setopt(pycurl.PREREQFUNCTION, lambda *_: pycurl.PREREQFUNC_ABORT)

    def load(self, job: Job, now: float) -> None:
        """Prepare to send the request of `job`."""
        self.job, self.started, self._refused = job, now, False
        request = job.request
        self.setopt(pycurl.URL, self._origin.url + request.path)
        if self._origin.resend:
            self.setopt(pycurl.POSTFIELDS, request.body)
        else:
            self._position = 0
            self.setopt(pycurl.POSTFIELDSIZE, len(request.body))
        self._limit = request.body_limit
        try:
            self.setopt(pycurl.HTTPHEADER, request.headers)
        except UnicodeEncodeError:  # a collapse id may be any UTF-8
            self.setopt(pycurl.HTTPHEADER, [line.encode() for line in request.headers])
        self.setopt(pycurl.TIMEOUT_MS, int(job.timeout * 1000))
        if request.method != "POST":
            self.setopt(pycurl.HTTPGET, 1)
            self.setopt(pycurl.CUSTOMREQUEST, request.method)
        if request.wanted_headers:
            self.setopt(pycurl.HEADERFUNCTION, self._on_header)

    @property
    def is_reusable(self) -> bool:
        """Whether the next job needs nothing undone of what this one set."""
        request = self.job.request if self.job else None
        return request is not None and request.method == "POST" and not request.wanted_headers

    @property
    def has_left(self) -> bool:
        """Whether anything of the request has been handed to a connection."""
        return bool(self.getinfo(pycurl.REQUEST_SIZE) > 0)

    def unload(self) -> Job:
        """Return the job, which is over here; there must be one."""
        job, self.job = self.job, None
        assert job is not None  # noqa: S101 - the caller's promise
        return job

    def response(self) -> Response:
        """Return the response that has come, and forget it."""
        status = self.getinfo(pycurl.RESPONSE_CODE)
        if status == 200 and not self._body and not self._headers:  # noqa: PLR2004
            return ACCEPTED
        body, headers = b"".join(self._body), self._headers or NO_HEADERS
        self.forget()
        return Response(status, body, headers, self.getinfo(pycurl.RETRY_AFTER) or None)

    def failure(self, code: int, text: str) -> Answer:
        """Return what libcurl's error means: no answer, or one that was too long and is cut."""
        if code == pycurl.E_WRITE_ERROR and self._kept > self._limit:
            return self.response()
        self.forget()
        maybe_sent = (
            code not in NEVER_SENT
            and self.has_left
            and "refused" not in text.lower()
            and not text.startswith(NO_TUNNEL)
        )
        otherwise = "the connection was lost" if maybe_sent else "not sent"
        return Unanswered(maybe_sent, explain(code, text, otherwise))

    def forget(self) -> None:
        """Drop what has come of a response."""
        self._body, self._kept, self._headers = [], 0, {}

    def _on_body(self, part: bytes) -> int | None:
        if self._kept < self._limit:
            self._body.append(part[: self._limit - self._kept])
        self._kept += len(part)
        return 0 if self._kept > self._limit else None

    def _on_header(self, line: bytes) -> None:
        name, _, value = line.decode("latin-1").partition(":")
        if self.job and name.lower() in self.job.request.wanted_headers:
            self._headers[name.lower()] = value.strip()

    def _on_read(self, size: int) -> bytes:
        body = self.job.request.body if self.job else b""
        part = body[self._position : self._position + size]
        self._position += len(part)
        return part

    def _on_seek(self, offset: int, _whence: int) -> int:
        """Let libcurl send a request again only if the server refused it unprocessed.

        libcurl asks in two cases: after a refused stream, or one above the last of a GOAWAY, which
        it says in its log; and after its connection has died, when nobody knows what was done.
        """
        if not self._refused:
            return int(pycurl.SEEKFUNC_FAIL)
        self._position, self._refused = offset, False
        return int(pycurl.SEEKFUNC_OK)

    def _on_debug(self, _kind: int, text: bytes) -> None:
        if REFUSED in text.lower():
            self._refused = True

    def _on_connection(self, descriptor: int, _purpose: int) -> int:
        limit_unacknowledged(descriptor, USER_TIMEOUT)
        self._connections.opened()
        return int(pycurl.SOCKOPT_OK)


def explain(code: int, text: str, otherwise: str) -> str:
    """Return libcurl's error in words of ours, `otherwise` if there are none, and its own."""
    return f"{REASONS.get(code, otherwise)} ({text or f'libcurl error {code}'})"


ACCEPTED: Final = Response(200)
