"""A running pretend Apple and Google, as a test meets them."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from pushtasks.masking import mask
from pushtasks.testing.answers import check_reason
from pushtasks.testing.carrier import carried_out_here

if TYPE_CHECKING:
    from pushtasks.emulator import Emulator, Endpoints

#: Seconds: for one call of the control API, and between two looks at what has arrived.
_CONTROL_TIMEOUT: Final = 10.0
_LOOK: Final = 0.02


@dataclass(frozen=True, slots=True)
class Received:
    """A push as the pretend provider received it, and what it answered."""

    number: int
    #: `apns`, `gateway`, `fcm` or `gcm`.
    service: str
    #: Device token, registration id, topic or condition.
    token: str | None
    #: At Apple `aps` and custom keys; at Google the body of the request.
    payload: Any
    #: By name, in lower case; empty for the gateway.
    headers: Mapping[str, str]
    #: The gateway's: identifier, expiration, priority and so on; else empty.
    frame: Mapping[str, int | None]
    status: int | None
    #: None if it was accepted.
    reason: str | None
    received_at: datetime

    @property
    def is_accepted(self) -> bool:
        """Whether the provider has taken it."""
        return self.reason is None

    def __repr__(self) -> str:
        """Name the device by the beginning of its token only, and leave out the payload."""
        token = mask(self.token or "")
        return f"<Received {self.service} {token} {self.reason or 'accepted'}>"


class PushEmulator:
    """A running pretend Apple and Google; every device is healthy until a test says otherwise."""

    def __init__(self, running: "Emulator") -> None:
        #: Where its keys, certificates and `pushtasks.toml` are.
        self.directory = running.directory
        #: Where its services listen.
        self.endpoints: Endpoints = running.endpoints
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._carrying = ExitStack()

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that lead other processes there, such as a worker of yours."""
        return {"PUSHTASKS_CONFIG": str(self.directory / "pushtasks.toml")}

    # What has arrived ---------------------------------------------------------------------------

    def received(self, token: str | None = None) -> list[Received]:
        """Return what has arrived, the oldest first, up to the latest 10,000.

        Args:
            token: To this device only.
        """
        entries = [_received(entry) for entry in self._control("GET", "/received")]
        if token is None:
            return entries
        wanted = {token, token.lower()}
        return [entry for entry in entries if entry.token in wanted]

    def wait_for(self, count: int, timeout: float = 10.0) -> list[Received]:
        """Wait until so many pushes have arrived, for tests with a worker; return all.

        Raises:
            TimeoutError: Fewer have arrived within so many seconds.
        """
        ends = time.monotonic() + timeout
        while (arrived := self._control("GET", "/received/count")["count"]) < count:
            if time.monotonic() >= ends:
                raise TimeoutError(f"{arrived} of {count} pushes arrived within {timeout:g} s")
            time.sleep(_LOOK)
        return self.received()

    # What the providers are to say --------------------------------------------------------------

    def reject(
        self,
        token: str,
        reason: str,
        *,
        status: int | None = None,
        dead_since: datetime | None = None,
        retry_after: float | None = None,
        times: int | None = None,
    ) -> None:
        """Have pushes to a device rejected from now on; arguments and errors as of `Outbox`."""
        if dead_since is not None and dead_since.tzinfo is None:
            raise ValueError(f"dead_since {dead_since.isoformat()} has no time zone: add UTC")
        said = {
            "reason": check_reason(reason, status),
            "status": status,
            "timestamp": dead_since and int(dead_since.timestamp() * 1000),
            "retry_after": retry_after,
            "times": times,
        }
        self._control("PUT", f"/tokens/{quote(token, safe='')}", said)

    def replace(self, registration_id: str, canonical_id: str) -> None:
        """Have GCM ask to store another registration id in place of this one."""
        said = {"canonical_id": canonical_id}
        self._control("PUT", f"/tokens/{quote(registration_id, safe='')}", said)

    def fault(self, **fault: Any) -> None:
        """Let something go wrong: see the README, "The emulator in your own tests".

        For instance `fault(service="apns", status=503, times=2)`.

        Raises:
            ValueError: There is no such fault.
        """
        self._control("POST", "/faults", fault)

    def list_as_dead(self, token: str, since: datetime | None = None) -> None:
        """Put a device on the list of the feedback service, which `poll_feedback` reads.

        Args:
            token: Device token.
            since: Aware; left out, now.
        """
        at = int((since or datetime.now(UTC)).timestamp())
        self._control("POST", "/feedback", {"token": token, "timestamp": at})

    def reset(self) -> None:
        """Make devices and providers healthy, and forget what has arrived."""
        for path in ("/tokens", "/faults", "/received", "/feedback", "/stats"):
            self._control("DELETE", path)

    # Who sends ----------------------------------------------------------------------------------

    def use_workers(self) -> None:
        """From now on leave `delay` to the broker and to workers of the test's own.

        Until then tasks run at once where they are called.
        """
        self._carrying.close()

    def _carry_out_here(self) -> ExitStack:
        self._carrying.enter_context(carried_out_here())
        return self._carrying

    def _control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control API.

        Raises:
            ValueError: It cannot do what it is told; it says why.
        """
        data = None if body is None else json.dumps(body).encode()
        url = self.endpoints.control + path
        request = urllib.request.Request(url, data, method=method)  # noqa: S310, our own
        try:
            with self._opener.open(request, timeout=_CONTROL_TIMEOUT) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(json.load(error)["error"]) from None


def _received(entry: Mapping[str, Any]) -> Received:
    return Received(
        number=entry["n"],
        service=entry["service"],
        token=entry["token"],
        payload=entry["payload"],
        headers=entry.get("headers", {}),
        frame=entry.get("frame", {}),
        status=entry["answer"]["status"],
        reason=entry["answer"]["reason"],
        received_at=datetime.fromtimestamp(entry["at"], UTC),
    )
