"""One reusable libcurl easy handle: a request goes in, an answer comes out."""

from typing import Final, Protocol

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
#: Bytes per second of one response to a push. It is the window that libcurl gives each stream at
#: first; were there no limit, libcurl would widen the window of every stream, by a frame and a
#: system call of its own. A body is cut (`body_limit`) long before it would have to wait.
RECEIVE_SPEED: Final = 64 * 1024

#: What libcurl says when a request met a GOAWAY, a refusal or a dead connection five times.
TRIED_OFTEN_ENOUGH: Final = "Connection died"
#: How libcurl begins, and ends, what it logs of a stream that the server did not process. Its log
#: has header lines and bodies too, in which callers may write what they like.
STREAM: Final = b"HTTP/2 stream "
REFUSED: Final = b" refused by server, try again on a new connection\n"
#: What it says when a proxy did not let a connection through.
NO_TUNNEL: Final = "CONNECT tunnel failed"
#: How it begins what it says of a proxy's URL, which it repeats with its password.
BAD_PROXY: Final = "Unsupported proxy"
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


class Submission(Protocol):
    """Requests that were handed over together, as the I/O thread sees them."""

    #: Seconds for each answer once its request is under way, and for the wait before.
    timeout: float
    #: Monotonic time at which they were handed over.
    submitted: float

    def request(self, place: int) -> Request:
        """Return the request with this place, when it is its turn."""

    def deliver(self, place: int, answer: Answer) -> None:
        """Take the answer to it."""


#: A request on its way: where it is from, and which it is there. A bare tuple, which costs a
#: seventh of a named one.
Job = tuple[Submission, int]


class Connections(Protocol):
    """What a transfer tells about the connections it goes over."""

    def opened(self) -> None:
        """Hear that libcurl has opened one more."""


class Transfer:
    """An easy handle bound to one origin, used for one job after the other.

    It has a handle and is none, since attributes of pycurl's objects take twenty times as long.
    """

    __slots__ = (
        "_body",
        "_connections",
        "_headers",
        "_kept",
        "_last_body",
        "_last_timeout",
        "_limit",
        "_origin",
        "_position",
        "_refused",
        "_request",
        "_set",
        "curl",
        "is_reusable",
        "job",
        "started",
    )

    def __init__(self, origin: Origin, connections: "Connections") -> None:
        self.curl = pycurl.Curl()
        self.job: Job | None = None
        #: Whether the next job needs nothing undone of what this one set.
        self.is_reusable = True
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
        self._request: Request | None = None
        self._set = self.curl.setopt
        #: What the handle has of the last job, and need not be told again.
        self._last_body: bytes | None = None
        self._last_timeout = 0.0
        self._set_transport(origin)
        self._set_identity(origin)
        self._set(pycurl.POST, 1)
        self._set(pycurl.URL, self._origin.url)
        self._set(pycurl.WRITEFUNCTION, self._on_body)
        self._set(pycurl.SOCKOPTFUNCTION, self._on_connection)
        if not origin.resend:
            self._set(pycurl.READFUNCTION, self._on_read)
            self._set(pycurl.SEEKFUNCTION, self._on_seek)
            self._set(pycurl.VERBOSE, 1)
            self._set(pycurl.DEBUGFUNCTION, self._on_debug)

    def _set_transport(self, origin: Origin) -> None:
        self._set(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        self._set(pycurl.PIPEWAIT, 1)
        self._set(pycurl.NOSIGNAL, 1)
        self._set(pycurl.MAX_RECV_SPEED_LARGE, RECEIVE_SPEED)
        self._set(pycurl.USERAGENT, "")  # none: nobody asks for it, and each header costs
        self._set(pycurl.CONNECTTIMEOUT_MS, int(CONNECT_TIMEOUT * 1000))
        self._set(pycurl.MAXAGE_CONN, int(origin.idle_age))
        self._set(pycurl.TCP_KEEPALIVE, 1)
        self._set(pycurl.TCP_KEEPIDLE, KEEP_ALIVE_IDLE)
        self._set(pycurl.TCP_KEEPINTVL, KEEP_ALIVE_INTERVAL)
        # An empty text also keeps libcurl from looking at the environment's proxies.
        self._set(pycurl.PROXY, origin.proxy or "")

    def _set_identity(self, origin: Origin) -> None:
        self._set(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
        self._set(pycurl.SSL_VERIFYPEER, 1)
        self._set(pycurl.SSL_VERIFYHOST, 2)
        self._set(pycurl.CAINFO, origin.ca_file or certifi.where())
        if origin.certificate is not None:
            self._set(pycurl.SSLCERT_BLOB, origin.certificate)
            self._set(pycurl.SSLCERTTYPE, "PEM")
        if origin.certificate_key is not None:
            self._set(pycurl.SSLKEY_BLOB, origin.certificate_key)

    def open_only(self) -> None:
        """Prepare to open a connection, and to leave it in the pool without any request on it."""
        self._set(pycurl.FRESH_CONNECT, 1)
        self._set(pycurl.PREREQFUNCTION, lambda *_: pycurl.PREREQFUNC_ABORT)

    def load(self, job: Job, now: float) -> None:
        """Prepare to send the request of `job`."""
        submission, place = job
        timeout, request = submission.timeout, submission.request(place)
        self.job, self._request, self.started = job, request, now
        path, body, headers, method, wanted_headers, self._limit = request
        self._set(pycurl.REQUEST_TARGET, path)
        try:
            self._set(pycurl.HTTPHEADER, headers)
        except UnicodeEncodeError:  # a collapse id may be any UTF-8
            self._set(pycurl.HTTPHEADER, [line.encode() for line in headers])
        if not self._origin.resend:
            self._position, self._refused = 0, False
        if body is not self._last_body:
            self._load_body(body)
        if timeout != self._last_timeout:
            self._set(pycurl.TIMEOUT_MS, int(timeout * 1000))
            self._last_timeout = timeout
        if method != "POST" or wanted_headers:
            self._load_peculiarities(request)

    def _load_body(self, body: bytes) -> None:
        if self._origin.resend:
            self._set(pycurl.POSTFIELDS, body)
        else:
            self._set(pycurl.POSTFIELDSIZE, len(body))
        self._last_body = body

    def _load_peculiarities(self, request: Request) -> None:
        self.is_reusable = False
        self._set(pycurl.MAX_RECV_SPEED_LARGE, 0)
        if request.method != "POST":
            self._set(pycurl.HTTPGET, 1)
            self._set(pycurl.CUSTOMREQUEST, request.method)
        if request.wanted_headers:
            self._set(pycurl.HEADERFUNCTION, self._on_header)

    @property
    def has_left(self) -> bool:
        """Whether anything of the request has been handed to a connection."""
        return bool(self.curl.getinfo(pycurl.REQUEST_SIZE) > 0)

    def unload(self) -> Job:
        """Return the job, which is over here; there must be one."""
        job, self.job = self.job, None
        assert job is not None  # noqa: S101 - the caller's promise
        return job

    def response(self) -> Response:
        """Return the response that has come, and forget it."""
        status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        if status == 200 and not self._body and not self._headers:  # noqa: PLR2004
            return ACCEPTED
        body, headers = b"".join(self._body), self._headers or NO_HEADERS
        self.forget()
        return Response(status, body, headers, self.curl.getinfo(pycurl.RETRY_AFTER) or None)

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

    def close(self) -> None:
        """Give the handle back; no multi handle may have it any more."""
        self.curl.close()

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
        if self._request and name.lower() in self._request.wanted_headers:
            self._headers[name.lower()] = value.strip()

    def _on_read(self, size: int) -> bytes:
        body = self._request.body if self._request else b""
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

    def _on_debug(self, kind: int, text: bytes) -> None:
        if kind == pycurl.INFOTYPE_TEXT and text.startswith(STREAM) and text.endswith(REFUSED):
            self._refused = True

    def _on_connection(self, descriptor: int, _purpose: int) -> int:
        limit_unacknowledged(descriptor, USER_TIMEOUT)
        self._connections.opened()
        return int(pycurl.SOCKOPT_OK)


def explain(code: int, text: str, otherwise: str) -> str:
    """Return libcurl's error in words of ours, `otherwise` if there are none, and its own."""
    if text.startswith(BAD_PROXY):
        text = "its URL cannot be read; write special characters of user and password as %40"
    return f"{REASONS.get(code, otherwise)} ({text or f'libcurl error {code}'})"


ACCEPTED: Final = Response(200)
