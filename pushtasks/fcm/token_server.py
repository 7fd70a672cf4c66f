"""One exchange with the OAuth token server: a service account's signature for an access token.

google-auth makes the assertion and reads the answer; how long it may take, which certificates
count, through which proxy, and what an error means to us is said here.

Sources: Google, "Using OAuth 2.0 for server to server applications"; RFC 7523.
"""

import importlib.util
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import requests
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.auth.transport import Response
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials

from pushtasks.errors import InvalidSettings, PushError
from pushtasks.wire import fcm as wire

REQUIRED_FIELDS: Final = ("project_id", "client_email", "private_key", "token_uri")

#: HTTP statuses with which the token server answers the request itself, in the form of RFC 6749.
ANSWERS: Final = frozenset({200, 400, 401, 403})

#: Characters of the token server's own words that an error repeats.
QUOTED: Final = 200
#: Links of a chain of exceptions that are looked at.
CHAIN: Final = 10


class TokenUnavailable(PushError):
    """No access token could be had for now: the token server or the way to it is in trouble."""


class Grant(NamedTuple):
    """What the token server gave."""

    access_token: str
    #: Seconds that the token lives from now.
    lifetime: float


class TokenServer:
    """How to get an access token for one service account; nothing is kept open in between."""

    def __init__(
        self,
        service_account: Mapping[str, object],
        *,
        ca_file: str | None,
        proxy: str | None,
        timeout: float,
    ) -> None:
        """Check the service account; nothing is sent.

        Args:
            service_account: The content of the JSON file that Google hands out.
            ca_file: Certificates, PEM, that the server is verified against; None: certifi's.
            proxy: `http://user:password@host:port` or `socks5h://…`; the environment's is unused.
            timeout: Seconds for the server to connect, and again for each part of its answer.

        Raises:
            InvalidSettings: A field is missing, or the private key or the proxy cannot be used.
        """
        _check_proxy(proxy)
        self._credentials = _credentials(service_account)
        self._host = urlsplit(str(service_account["token_uri"])).netloc
        self._ca_file = ca_file
        self._timeout = timeout
        self._options: Final = {
            "timeout": timeout,
            "verify": ca_file or True,
            "proxies": {"http": proxy, "https": proxy} if proxy else {},
            "allow_redirects": False,
        }

    def fetch(self) -> Grant:
        """Get a new access token.

        Raises:
            TokenUnavailable: The server did not answer, or with nothing of use.
            InvalidSettings: It refused the service account, or `ca_file` cannot be read.
        """
        # with_scopes copies, so a fetch that was given up cannot disturb the next one.
        credentials = self._credentials.with_scopes([wire.SCOPE])
        with requests.Session() as session:
            session.trust_env = False
            try:
                credentials.refresh(partial(self._send, Request(session)))
            except RefreshError as error:
                raise self._refused(error) from error
            except GoogleAuthError as error:
                raise self._unavailable(_explain(error, self._timeout)) from error
            except OSError as error:  # what requests makes of a missing file
                raise InvalidSettings(f"ca_file {self._ca_file!r}: cannot be read") from error
            except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
                raise self._unavailable("its answer cannot be read") from error
        return self._grant(credentials)

    def _send(self, request: Callable[..., Response], **options: Any) -> Response:
        """Send google-auth's request with our limits; trouble is reported, not retried in there."""
        response = request(**(options | self._options))
        if response.status not in ANSWERS:
            raise self._unavailable(f"HTTP {response.status}")
        return response

    def _grant(self, credentials: Credentials) -> Grant:
        access_token, expiry = credentials.token, credentials.expiry
        if not isinstance(access_token, str) or not _is_header_text(access_token):
            raise self._unavailable("its answer has no usable access_token")
        if expiry is None:
            return Grant(access_token, wire.ASSERTION_MAX_AGE)
        lifetime = expiry.replace(tzinfo=UTC) - datetime.now(UTC)
        return Grant(access_token, lifetime.total_seconds())

    def _unavailable(self, reason: str) -> TokenUnavailable:
        return TokenUnavailable(f"no access token from {self._host}: {reason}")

    def _refused(self, error: RefreshError) -> PushError:
        answer = error.args[1] if len(error.args) > 1 else None
        if error.retryable or not isinstance(answer, dict) or "error" not in answer:
            return self._unavailable(_one_line(error.args[0] if error.args else error))
        said = _one_line(f"{answer['error']}: {answer.get('error_description', 'no description')}")
        return InvalidSettings(
            f"service account {self._credentials.service_account_email}: refused by {self._host}"
            f" ({said}): check that its key still exists in the Google Cloud console and that this"
            " machine's clock is right"
        )


def _credentials(service_account: Mapping[str, object]) -> Credentials:
    fields = {name: service_account.get(name) for name in REQUIRED_FIELDS}
    missing = [name for name, value in fields.items() if not isinstance(value, str) or not value]
    if missing:
        raise InvalidSettings(
            f"service account: {', '.join(missing)} missing: give the JSON file from the Firebase"
            " console, Project settings, Service accounts, Generate new private key"
        )
    token_uri = str(fields["token_uri"])
    if not token_uri.startswith("https://"):
        raise InvalidSettings(f"service account: token_uri {token_uri!r} is no https:// address")
    # Passed through an environment variable, a key often arrives with its newlines escaped.
    private_key = str(fields["private_key"]).replace("\\n", "\n")
    _check_private_key(private_key)
    make: Callable[..., Credentials] = Credentials.from_service_account_info
    return make({**service_account, "private_key": private_key})


def _check_private_key(pem: str) -> None:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (TypeError, UnsupportedAlgorithm, ValueError):
        raise InvalidSettings(
            "service account: private_key is no PEM private key without a password: copy it whole,"
            " its BEGIN and END lines and newlines included"
        ) from None  # no part of a key in a traceback
    if not isinstance(key, RSAPrivateKey):
        raise InvalidSettings("service account: private_key is no RSA key: Google hands out RSA")


def _check_proxy(proxy: str | None) -> None:
    scheme = urlsplit(proxy).scheme if proxy else ""
    if scheme.startswith("socks") and importlib.util.find_spec("socks") is None:
        raise InvalidSettings(
            f"proxy: {scheme} needs PySocks for Google's token server: pip install PySocks"
        )


def _explain(error: GoogleAuthError, timeout: float) -> str:
    """Say in one line what went wrong; no address of a proxy, which may hold a password."""
    links = list(_chain(error))
    for link in links:
        if isinstance(link, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted, {link.verify_message}"
        if isinstance(link, requests.Timeout):
            return f"no answer within {timeout:g} s"
        if isinstance(link, requests.exceptions.ProxyError):
            return "the proxy cannot be reached or refuses"
    root = links[-1]
    if isinstance(root, OSError) and root.strerror:
        return root.strerror
    return _one_line(root) if root is error else type(root).__name__


def _chain(error: BaseException | None) -> list[BaseException]:
    links: list[BaseException] = []
    while error is not None and len(links) < CHAIN:
        links.append(error)
        error = error.__cause__ or error.__context__
    return links


def _one_line(words: object) -> str:
    return "".join(filter(str.isprintable, " ".join(str(words).split())))[:QUOTED]


def _is_header_text(value: str) -> bool:
    return bool(value) and value.isascii() and value.isprintable() and " " not in value
