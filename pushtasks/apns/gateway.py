"""Sends notifications of one app at Apple over a binary gateway, by connections that stay open."""

import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NoReturn

from pushtasks.apns import binary
from pushtasks.apns.binary import Frame
from pushtasks.apns.certificate import ClientCertificate, app_certificate
from pushtasks.apns.frames import frame
from pushtasks.apns.notification import Notification
from pushtasks.config import ApnsApp
from pushtasks.errors import InvalidPush
from pushtasks.net import tls
from pushtasks.net.connection import Gateway
from pushtasks.net.deadline import Deadline
from pushtasks.net.pool import Pool
from pushtasks.net.tickets import Ticket
from pushtasks.net.watch import Tell
from pushtasks.results import Identifier, Verdict
from pushtasks.wire import apns_binary as wire

RejectedLate = Callable[[str, Verdict, Identifier | None], None]


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
            InvalidSettings: The certificate is missing, broken or expired, or `ca_file` is no use.
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
        return frame(device_token, notification, self._app.command, now=datetime.now(UTC))

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
