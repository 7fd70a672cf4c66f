"""A service account's access token: fetched on first use, renewed ahead of its end, shared by all.

One thread makes the fetch and all who need the token wait for its outcome, each no longer than its
own time limit. While the old token is still good nobody waits at all.
"""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Final, NamedTuple

from pushtasks.errors import PushError
from pushtasks.fcm.token_server import Grant, TokenServer, TokenUnavailable

__all__ = ["AccessToken", "TokenUnavailable"]

#: Seconds before its end at which a token is renewed, or half its life before, if that is less.
RENEW_BEFORE: Final = 300.0
#: Seconds before its end at which a token is used no more, since a request takes its time and
#: clocks differ; or a tenth of its life before, if that is less.
UNUSED_BEFORE: Final = 10.0
#: Seconds between attempts to renew a token that is still good.
RENEWAL_PAUSE: Final = 30.0
#: Times the time limit of the token server after which a fetch is given up and another may begin.
PATIENCE: Final = 6


class _Token(NamedTuple):
    authorization: str
    #: Instants of time.monotonic().
    renew_at: float
    unused_at: float


class _Fetch(NamedTuple):
    outcome: "Future[_Token]"
    #: Instant of time.monotonic().
    given_up_at: float


class AccessToken:
    """The access token of one service account.

    Nothing is fetched and no thread runs before the first `authorization`: until then an object may
    cross a fork, afterwards it belongs to its process.
    """

    def __init__(
        self,
        service_account: Mapping[str, object],
        *,
        ca_file: str | None = None,
        proxy: str | None = None,
        timeout: float = 10.0,
    ) -> None:
        """Check the service account; nothing is fetched.

        Args:
            service_account: The content of the JSON file that Google hands out.
            ca_file: Certificates, PEM, that the token server is verified against; None: certifi's.
            proxy: `http://user:password@host:port` or `socks5h://…` (which needs PySocks).
            timeout: Seconds for the token server to connect, and again to answer.

        Raises:
            InvalidSettings: A field is missing, or the private key or the proxy cannot be used.
        """
        self._server = TokenServer(service_account, ca_file=ca_file, proxy=proxy, timeout=timeout)
        self.project_id = str(service_account["project_id"])
        self._patience = PATIENCE * timeout
        self._lock = threading.Lock()
        self._token: _Token | None = None
        self._fetch: _Fetch | None = None
        self._next_renewal = 0.0

    def __repr__(self) -> str:
        """Name the project, never the token."""
        return f"<AccessToken of {self.project_id}>"

    def authorization(self, timeout: float) -> str:
        """Return the value of the authorization header, `Bearer …`.

        Args:
            timeout: Seconds to wait while there is no good token.

        Raises:
            TokenUnavailable: The token server or the way to it is in trouble, or the time is up.
            InvalidSettings: Google refuses the service account.
        """
        token, now = self._token, time.monotonic()
        if token is not None and now < token.renew_at:
            return token.authorization
        with self._lock:
            token = self._token
            if token is not None and now < token.unused_at:
                if now >= max(token.renew_at, self._next_renewal):
                    with suppress(RuntimeError):  # no thread to spare: this token is still good
                        self._current_fetch(now)
                return token.authorization
            try:
                fetch = self._current_fetch(now)
            except RuntimeError as error:
                raise TokenUnavailable(f"no access token: {error}") from None
        return _wait(fetch.outcome, timeout).authorization

    def renew(self, rejected: str) -> None:
        """Forget a token that the provider refused, so that the next call fetches another.

        Args:
            rejected: The authorization that was refused; if it is no longer the current one, since
                another task was told so before, nothing happens.
        """
        with self._lock:
            if self._token is not None and self._token.authorization == rejected:
                self._token = None

    def _current_fetch(self, now: float) -> _Fetch:
        if self._fetch is None or now >= self._fetch.given_up_at:
            fetch = _Fetch(Future(), now + self._patience)
            threading.Thread(
                target=self._run, args=(fetch,), name="pushtasks-access-token", daemon=True
            ).start()
            self._fetch = fetch  # `_run` cannot be at its end, since the lock is ours
        return self._fetch

    def _run(self, fetch: _Fetch) -> None:
        started = time.monotonic()
        try:
            token = _token(self._server.fetch(), started)
        except Exception as error:  # noqa: BLE001, whatever it is, those who wait must hear of it
            with self._lock:
                self._next_renewal = time.monotonic() + RENEWAL_PAUSE
                self._end(fetch)
            fetch.outcome.set_exception(error)
        else:
            with self._lock:
                self._token = token
                self._end(fetch)
            fetch.outcome.set_result(token)

    def _end(self, fetch: _Fetch) -> None:
        if self._fetch is fetch:
            self._fetch = None


def _token(grant: Grant, started: float) -> _Token:
    life = grant.lifetime
    return _Token(
        f"Bearer {grant.access_token}",
        renew_at=started + life - min(RENEW_BEFORE, life / 2),
        unused_at=started + life - min(UNUSED_BEFORE, life / 10),
    )


def _wait(outcome: "Future[_Token]", timeout: float) -> _Token:
    try:
        error = outcome.exception(timeout)
    except TimeoutError:
        raise TokenUnavailable(f"no access token within {timeout:g} s") from None
    if isinstance(error, PushError):
        raise type(error)(*error.args) from error  # one exception must not be raised in two threads
    return outcome.result()
