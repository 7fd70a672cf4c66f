"""Sends notifications of one app at Apple, over connections that outlive the task."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from pushtasks.apns import http2
from pushtasks.apns.auth import ProviderToken
from pushtasks.apns.certificate import app_certificate
from pushtasks.apns.channels import Channels, Service
from pushtasks.apns.notification import Notification, device_apns_id, id_prefix
from pushtasks.config import ApnsApp
from pushtasks.errors import PushMaybeSent, PushNotSent
from pushtasks.keyfiles import read_key_material
from pushtasks.net.http import Answer, Request, Response
from pushtasks.net.multiplexer import NOT_YET, Multiplexer, Requests
from pushtasks.net.origin import Origin
from pushtasks.net.transfer import ACCEPTED
from pushtasks.net.watch import Tell, Watch
from pushtasks.results import APNS, Verdict
from pushtasks.retries import Before, rule_for
from pushtasks.wire import apns_http2 as wire

#: Of any push of a list: to make one for each costs as much as to check its device token.
_ACCEPTED: Final = Verdict(ACCEPTED.status)


class Push(NamedTuple):
    """One notification for one device."""

    device_token: str
    notification: Notification
    apns_id: str


@dataclass(frozen=True, slots=True, repr=False)
class SharedPushes(Sequence[Push]):
    """One notification for many devices: as good as a list of pushes, but none is made unasked.

    The requests do without, so of a fan-out only those are that were not simply accepted.
    """

    notification: Notification
    #: Canonical, as `device_token` returns them.
    device_tokens: Sequence[str]
    #: What the `apns-id` of each is made of, with its place.
    list_id: str
    places: Sequence[int]

    def __len__(self) -> int:
        return len(self.device_tokens)

    def __getitem__(self, index: int) -> Push:  # type: ignore[override]  # nobody slices it
        apns_id = device_apns_id(self.list_id, self.places[index])
        return Push(self.device_tokens[index], self.notification, apns_id)

    def requests(self, authorization: str | None) -> http2.SharedRequests:
        """Return the request of each.

        Args:
            authorization: As of `http2.headers`.
        """
        return http2.SharedRequests(
            http2.headers(self.notification, authorization),
            self.device_tokens,
            self.notification.payload,
            id_prefix(self.list_id),
            self.places,
        )


class ApnsClient:
    """One app in one environment, of one process."""

    def __init__(self, app: ApnsApp, environment: str, multiplexer: Multiplexer) -> None:
        """Read the app's key or certificate; nothing is opened yet.

        Raises:
            InvalidSettings: The key or certificate is missing, broken, expired or not Apple's kind.
        """
        self._app = app
        self._environment = environment
        self._multiplexer = multiplexer
        self._provider_token = _provider_token(app)
        #: Where pushes go, and over whose connections.
        self.origin = _origin(app, environment)

    @staticmethod
    def push(device_token: str, notification: Notification, apns_id: str) -> Push:
        """Return what goes to one device."""
        return Push(device_token, notification, apns_id)

    def send(
        self,
        pushes: Sequence[Push],
        *,
        is_list: bool = False,
        watch: Tell | None = None,
    ) -> list[Verdict]:
        """Send pushes and wait for what becomes of them, in the same order.

        A reason that asks for a new provider token or a new connection has been heeded when this
        returns; whether and when to try again is the caller's business.

        Args:
            pushes: As `push` makes them, or `SharedPushes`.
            is_list: Nobody asks for the id of a push that was accepted: it is left out.
            watch: Is told, while it waits, which pushes have been accepted by now.
        """
        authorization = self._authorization()
        requests = _requests(pushes, authorization)
        look: Watch[Answer] | None = None
        if watch:
            look = Watch(lambda i, answer: _verdict(answer, pushes[i]), watch, NOT_YET)
        answers = self._multiplexer.exchange(self.origin, requests, self._app.timeout, look)
        verdicts = [
            _ACCEPTED if is_list and answer is ACCEPTED else _verdict(answer, pushes[i])
            for i, answer in enumerate(answers)
        ]
        self._heed(verdicts, authorization)
        return verdicts

    def channels(self, bundle_id: str | None = None) -> Channels:
        """Return the broadcast channels of the app, or of another of the same team."""
        return Channels(bundle_id or self._app.topic or "", self._exchange)

    def _authorization(self) -> str | None:
        return self._provider_token.authorization() if self._provider_token else None

    def _heed(self, verdicts: list[Verdict], authorization: str | None) -> None:
        asked = {rule_for(APNS, verdict).before for verdict in verdicts if verdict.reason}
        if Before.NEW_TOKEN in asked and self._provider_token and authorization:
            self._provider_token.renew(authorization)
        if asked - {Before.NOTHING}:  # a connection remembers the token that it was told first
            self._multiplexer.renew(self.origin)

    def _exchange(self, service: Service, request: Request) -> Response:
        authorization = self._authorization()
        if authorization:
            line = f"{wire.AUTHORIZATION}: {authorization}"
            request = request._replace(headers=(line, *request.headers))
        origin = _service_origin(self.origin, self._app, self._environment, service)
        answer = self._multiplexer.exchange(origin, [request], self._app.timeout)[0]
        if isinstance(answer, Response):
            return answer
        if answer.maybe_sent:
            raise PushMaybeSent(f"{service.value} of app {self._app.name!r}: {answer.reason}")
        raise PushNotSent(f"{service.value} of app {self._app.name!r}: {answer.reason}")


class _Requests:
    """The requests of some pushes, each made when it is its turn.

    To make them all beforehand costs more: they leave the cache of the processor before they are
    looked at. Pushes that share a notification share its header lines.
    """

    __slots__ = ("_authorization", "_notification", "_pushes", "_shared")

    def __init__(self, pushes: Sequence[Push], authorization: str | None) -> None:
        self._pushes = pushes
        self._authorization = authorization
        self._notification: Notification | None = None
        self._shared: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self._pushes)

    def __getitem__(self, place: int) -> Request:
        token, notification, apns_id = self._pushes[place]
        if notification is not self._notification:
            self._notification = notification
            self._shared = http2.headers(notification, self._authorization)
        return http2.request(self._shared, token, notification.payload, apns_id)


def _requests(pushes: Sequence[Push], authorization: str | None) -> Requests:
    if isinstance(pushes, SharedPushes):
        return pushes.requests(authorization)
    return _Requests(pushes, authorization)


def _verdict(answer: Answer, push: Push) -> Verdict:
    if isinstance(answer, Response):
        return http2.read_response(answer, push.apns_id)
    return Verdict(None, answer.reason, push.apns_id, maybe_sent=answer.maybe_sent)


def _provider_token(app: ApnsApp) -> ProviderToken | None:
    if app.key is None:
        return None
    key = read_key_material(app.key.get_secret_value(), setting=f"apns.{app.name}.key")
    return ProviderToken(key, app.key_id or "", app.team_id or "")


def _origin(app: ApnsApp, environment: str) -> Origin:
    origin = Origin(
        url=app.server or f"https://{wire.HOSTS[environment]}:{wire.PORT}",
        identity=f"{app.team_id}/{app.key_id}/{environment}",
        ca_file=str(app.ca_file) if app.ca_file else None,
        proxy=app.proxy.get_secret_value() if app.proxy else None,
        connections=app.connections,
        streams=app.streams,
        resend=app.unanswered == "resend",
    )
    if app.certificate is None:
        return origin
    certificate = app_certificate(app)
    return replace(
        origin,
        identity=f"{certificate.fingerprint}/{environment}",
        certificate=certificate.certificate_pem,
        certificate_key=certificate.key_pem,
    )


def _service_origin(origin: Origin, app: ApnsApp, environment: str, service: Service) -> Origin:
    """Return where broadcasts go, or where channels are managed."""
    if service is Service.BROADCAST:
        url = app.broadcast_server or app.server
        host, port = wire.BROADCAST_HOSTS[environment], wire.PORT
    else:
        url = app.channel_server or app.server
        host, port = wire.CHANNEL_HOSTS[environment], wire.CHANNEL_PORTS[environment]
    return replace(origin, url=url or f"https://{host}:{port}")
