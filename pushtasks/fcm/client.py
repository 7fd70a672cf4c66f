"""Sends messages of one Firebase project over connections that outlive the task."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from pushtasks.config import GcmApp
from pushtasks.errors import InvalidSettings
from pushtasks.fcm import v1
from pushtasks.fcm.auth import AccessToken
from pushtasks.fcm.message import check_size, encode, message, target
from pushtasks.fcm.token_server import TokenUnavailable
from pushtasks.keyfiles import read_key_material
from pushtasks.net.http import Answer, Response
from pushtasks.net.multiplexer import NOT_YET, Multiplexer
from pushtasks.net.origin import Origin
from pushtasks.net.watch import Tell, Watch
from pushtasks.results import GCM, Verdict
from pushtasks.retries import Before, rule_for
from pushtasks.wire import fcm as wire


class Sender(Protocol):
    """What a client of either protocol does; what a push is, each knows for itself."""

    def message(self, payload: object, *, dry_run: bool, now: datetime) -> Callable[[object], Any]:
        """Check and encode what all targets share.

        Args:
            payload: As of `fcm.message.message`.
            dry_run: Ask the provider to check the message and not to deliver it.
            now: The instant from which a time to live counts; aware.

        Returns:
            A function that makes the push to a target, and raises InvalidPush if the target is
            none, or takes less than the message is.

        Raises:
            InvalidPush: The message could be sent to no target.
        """

    def send(self, pushes: Sequence[Any], *, watch: Tell | None = None) -> list[Verdict]:
        """Send pushes and wait for what becomes of them, in the same order.

        Args:
            pushes: As the function makes them that `message` returns.
            watch: Is told, while it waits, which pushes have been accepted by now; not by a
                protocol that sends many in one request.

        Raises:
            InvalidSettings: The app's credentials cannot be used.
        """


class FcmClient:
    """One project, of one process."""

    def __init__(self, app: GcmApp, multiplexer: Multiplexer) -> None:
        """Read the service account; nothing is fetched or opened yet.

        Raises:
            InvalidSettings: The service account is missing or broken.
        """
        self._app = app
        self._multiplexer = multiplexer
        ca_file = str(app.ca_file) if app.ca_file else None
        proxy = app.proxy.get_secret_value() if app.proxy else None
        self._access_token = AccessToken(
            service_account(app), ca_file=ca_file, proxy=proxy, timeout=app.timeout
        )
        self._path = v1.send_path(app.project or self._access_token.project_id)
        #: Where messages go, and over whose connections.
        self.origin = Origin(
            url=app.server or wire.SERVER,
            identity=self._access_token.project_id,
            ca_file=ca_file,
            proxy=proxy,
            connections=app.connections,
            streams=app.streams,
            resend=app.unanswered == "resend",
        )

    @staticmethod
    def message(payload: object, *, dry_run: bool, now: datetime) -> Callable[[object], bytes]:
        """Return what makes the push of a message to a target: see `Sender`."""
        common = message(payload, now=now)

        def push(value: object) -> bytes:
            checked = target(value)
            check_size(common, checked)
            return encode(common, checked, validate_only=dry_run)

        return push

    def send(self, bodies: Sequence[bytes], *, watch: Tell | None = None) -> list[Verdict]:
        """Send messages and wait for what becomes of them, in the same order.

        An access token that Google refused has been forgotten when this returns; whether and when
        to try again is the caller's business.

        Args:
            bodies: As the functions make them that `message` returns.
            watch: Is told, while it waits, which pushes have been accepted by now.

        Raises:
            InvalidSettings: Google refuses the service account.
        """
        try:
            authorization = self._access_token.authorization(self._app.timeout)
        except TokenUnavailable as error:
            return [Verdict(None, str(error))] * len(bodies)
        requests = [v1.request(self._path, body, authorization) for body in bodies]
        look: Watch[Answer] | None = None
        if watch:
            look = Watch(lambda _, answer: _verdict(answer), watch, NOT_YET)
        answers = self._multiplexer.exchange(self.origin, requests, self._app.timeout, look)
        verdicts = [_verdict(answer) for answer in answers]
        if any(v.reason and rule_for(GCM, v).before is Before.NEW_TOKEN for v in verdicts):
            self._access_token.renew(authorization)
        return verdicts


def _verdict(answer: Answer) -> Verdict:
    if isinstance(answer, Response):
        return v1.read_response(answer)
    return Verdict(None, answer.reason, maybe_sent=answer.maybe_sent)


def service_account(app: GcmApp) -> dict[str, Any]:
    """Return the content of the service account's JSON file.

    Raises:
        InvalidSettings: It is missing or no JSON object.
    """
    setting = f"gcm.{app.name}.credentials"
    written = app.credentials.get_secret_value() if app.credentials else ""
    material = read_key_material(written, setting=setting)
    try:
        account = json.loads(material)
    except ValueError:
        account = None
    if not isinstance(account, dict):
        raise InvalidSettings(
            f"{setting}: no JSON object; give the file that Firebase hands out under Project"
            " settings, Service accounts, Generate new private key"
        )
    return account
