"""Sends notifications of one app at Apple over a binary gateway, by connections that stay open.

The wire has no topic, push type or collapse id: the certificate is the topic, and the rest came
with HTTP/2.
"""

import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NoReturn

from pushtasks.apns import binary
from pushtasks.apns.binary import Frame
from pushtasks.apns.certificate import ClientCertificate, app_certificate
from pushtasks.apns.http2 import seconds_since_1970
from pushtasks.apns.notification import Notification
from pushtasks.config import ApnsApp
from pushtasks.errors import InvalidPush
from pushtasks.masking import mask
from pushtasks.net import tls
from pushtasks.net.connection import Gateway
from pushtasks.net.deadline import Deadline
from pushtasks.net.pool import Pool
from pushtasks.net.tickets import Ticket
from pushtasks.net.watch import Tell
from pushtasks.results import Identifier, Verdict
from pushtasks.wire import apns_binary as wire

#: For how long a notification without expiration is kept for its device, as APNs does at the most.
KEPT: Final = timedelta(days=30)
RejectedLate = Callable[[str, Verdict, Identifier | None], None]
#: Seconds since 1970 that four bytes can hold.
LATEST: Final = 0xFFFF_FFFF


class GatewayClient:
    """One app in one environment, of one process."""

    def __init__(self, app: ApnsApp, environment: str, rejected_late: RejectedLate) -> None:
        """Read the app's certificate; nothing is opened yet.

        Args:
            app: Its protocol is `binary`.
            environment: `production` or `sandbox`, for where the settings name no gateway.
            rejected_late: Hears of a device whose push counted as accepted, and was refused, with
                what the caller calls the push. It must not raise or take long.

        Raises:
            InvalidSettings: The certificate is missing, broken or expired.
        """
        self._app = app
        #: Host and port.
        self.address = gateway_address(app, environment)
        self.certificate = app_certificate(app)
        self._context = tls_context(app, self.certificate)
        self._pool = Pool(self._gateway(rejected_late), app.pool_size)

    def push(self, device_token: str, notification: Notification, _apns_id: str) -> Frame:
        """Return what goes to the gateway for one device.

        Raises:
            InvalidPush: The binary protocol cannot carry it.
        """
        payload, expiration, priority = _common(notification, self._app.command)
        token = bytes.fromhex(device_token)
        if len(token) > wire.DEVICE_TOKEN_LIMIT:
            raise InvalidPush(
                f"device token {mask(device_token)!r} has {len(token)} bytes: a gateway takes at"
                f" most {wire.DEVICE_TOKEN_LIMIT}; send it over protocol http2"
            )
        if expiration is None:
            expiration = seconds_since_1970(datetime.now(UTC) + KEPT)
        return Frame(token, payload, expiration, priority)

    def send(
        self,
        frames: Sequence[Frame],
        *,
        is_list: bool = False,
        watch: Tell | None = None,  # noqa: ARG002
    ) -> list[Verdict]:
        """Send frames and wait until each is refused, or silence or a sentinel confirms it.

        Args:
            frames: As `push` makes them, in the order of sending.
            is_list: Whether they are a list, which the app's settings may want confirmed.
            watch: Is told nothing: until silence or a sentinel confirms all, nothing is sure.
        """
        return self._pool.exchange(frames, confirm=is_list and self._app.confirm == "sentinel")

    def channels(self, _bundle_id: str | None = None) -> NoReturn:
        """Refuse: broadcast channels came with HTTP/2."""
        raise InvalidPush(
            f"app {self._app.name!r} speaks the binary protocol, which has no channels"
        )

    def connect(self) -> ssl.SSLSocket:
        """Return a new connection to the gateway.

        Raises:
            OSError: It cannot be reached within the app's timeout, or one does not trust the other.
        """
        return tls.connect(*self.address, self._context, Deadline(self._app.timeout))

    def stop(self, drain: float) -> None:
        """Take nothing more, and have what is on its way settled in so many seconds."""
        self._pool.stop(drain)

    def close(self, drain: float) -> None:
        """Wait up to `drain` seconds for what is on its way, and close."""
        self._pool.close(drain)

    @property
    def connections_opened(self) -> int:
        """How many connections have been opened so far."""
        return self._pool.opened

    def _gateway(self, rejected_late: RejectedLate) -> Gateway[Frame]:
        app, command = self._app, self._app.command
        host, port = self.address
        host = f"[{host}]" if ":" in host else host

        def encode(ticket: Ticket[Frame], identifier: int) -> bytes:
            return binary.encode(ticket.item, identifier, command)

        return Gateway(
            name=f"{host}:{port}",
            dial=self.connect,
            protocol=lambda: binary.GatewayProtocol(encode, binary.sentinel(command)),
            rejected_late=lambda frame, verdict: rejected_late(
                frame.device_token.hex(), verdict, frame.label
            ),
            assume_sent=app.assume_sent,
            timeout=app.timeout,
            idle_age=app.idle_age,
        )


def gateway_address(app: ApnsApp, environment: str) -> tuple[str, int]:
    """Return host and port of an app's gateway."""
    if app.gateway:
        return tls.split_address(app.gateway)
    return wire.GATEWAY_HOSTS[environment], wire.GATEWAY_PORT


def tls_context(app: ApnsApp, certificate: ClientCertificate) -> ssl.SSLContext:
    """Return the TLS context of an app for its gateway and its feedback service."""
    ca_file = str(app.ca_file) if app.ca_file else None
    return tls.client_context(certificate.certificate_pem, certificate.key_pem, ca_file)


@lru_cache(maxsize=256)
def _common(notification: Notification, command: int) -> tuple[bytes, int | None, int]:
    """Return payload, expiration and priority, which all devices of a notification share."""
    if notification.collapse_id is not None:
        raise InvalidPush(
            f"collapse_id {notification.collapse_id!r}: the binary gateway has none; leave it out"
        )
    limit = wire.PAYLOAD_LIMITS[command]
    if len(notification.payload) > limit:
        raise InvalidPush(
            f"payload: {len(notification.payload)} bytes, over the {limit} that a binary gateway"
            f" takes with command {command}: shorten it, or let the app fetch the rest"
        )
    expiration = notification.expiration
    seconds = None if expiration is None else min(seconds_since_1970(expiration), LATEST)
    return notification.payload, seconds, _priority(notification.priority, command)


def _priority(priority: int | None, command: int) -> int:
    if priority is None:
        return max(wire.PRIORITIES)
    if priority not in wire.PRIORITIES or (command != wire.FRAMED and priority != 10):  # noqa: PLR2004
        known = "10 or 5" if command == wire.FRAMED else "10 only"
        raise InvalidPush(
            f"priority {priority}: a binary gateway with command {command} knows {known}"
        )
    return priority
