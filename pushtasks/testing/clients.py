"""Clients that check and make a push as the real ones do, and then keep it."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, NoReturn, Protocol

from celery import Celery

from pushtasks.apns.client import ApnsClient, Push
from pushtasks.apns.frames import frame
from pushtasks.apns.notification import Notification
from pushtasks.config import ApnsApp, GcmApp
from pushtasks.fcm.client import FcmClient
from pushtasks.fcm.legacy_client import FORMS
from pushtasks.net.watch import Tell
from pushtasks.results import APNS, GCM, Verdict
from pushtasks.sending.arguments import shown_token

#: Where a message of FCM v1 names its target.
_TARGETS: Final = frozenset({"token", "topic", "condition", "fid"})


class Kept(NamedTuple):
    """A push as it would have gone out."""

    provider: str
    app: str
    protocol: str
    token: str
    payload: Any
    #: By the names of `SentPush`.
    more: dict[str, Any]


class Keep(Protocol):
    """Who keeps pushes, and says what the provider answers."""

    def __call__(self, push: Kept) -> Verdict:
        """Keep a push."""


class PretendApns:
    """One app at Apple."""

    def __init__(self, app: ApnsApp, environment: str, keep: Keep) -> None:
        self._app = app
        self._environment = environment
        self._keep = keep

    def push(self, device_token: str, notification: Notification, apns_id: str) -> Push:
        """Return what would go to one device.

        Raises:
            InvalidPush: The app's protocol cannot carry it.
        """
        if self._app.protocol == "binary":
            frame(device_token, notification, self._app.command, now=datetime.now(UTC))
        return ApnsClient.push(device_token, notification, apns_id)

    def send(
        self,
        pushes: Sequence[Push],
        *,
        is_list: bool = False,  # noqa: ARG002
        watch: Tell | None = None,  # noqa: ARG002
    ) -> list[Verdict]:
        """Keep pushes, and return the answers."""
        return [self._keep(self._kept(push)) for push in pushes]

    def channels(self, _bundle_id: str | None = None) -> NoReturn:
        """Refuse: there are no channels to look at."""
        raise NotImplementedError("an outbox has no broadcast channels: use push_emulator")

    def _kept(self, push: Push) -> Kept:
        notification = push.notification
        more = {
            "topic": notification.topic,
            "push_type": notification.push_type,
            "priority": notification.priority,
            "expiration": notification.expiration,
            "collapse_id": notification.collapse_id,
            "apns_id": push.apns_id,
            "environment": self._environment,
        }
        payload = json.loads(notification.payload)
        app = self._app
        return Kept(APNS, app.name, app.protocol, push.device_token, payload, more)


class PretendFcm:
    """One app at Google."""

    def __init__(self, app: GcmApp, keep: Keep) -> None:
        self._app = app
        self._keep = keep

    def message(self, payload: object, *, dry_run: bool, now: datetime) -> Callable[[object], Kept]:
        """Return what makes the push of a message to a target, as of `fcm.client.Sender`.

        Raises:
            InvalidPush: The message could be sent to no target.
        """
        made = (self._legacy if self._app.protocol == "legacy" else self._v1)(payload, dry_run, now)

        def push(target: object) -> Kept:
            more = {"dry_run": dry_run}
            app = self._app
            return Kept(GCM, app.name, app.protocol, shown_token(target), made(target), more)

        return push

    def send(self, pushes: Sequence[Kept], *, watch: Tell | None = None) -> list[Verdict]:  # noqa: ARG002
        """Keep pushes, and return the answers."""
        return [self._keep(push) for push in pushes]

    def _v1(self, payload: object, dry_run: bool, now: datetime) -> Callable[[object], Any]:  # noqa: FBT001
        push = FcmClient.message(payload, dry_run=dry_run, now=now)

        def made(target: object) -> dict[str, Any]:
            body = json.loads(push(target))
            return {key: value for key, value in body["message"].items() if key not in _TARGETS}

        return made

    def _legacy(self, payload: object, dry_run: bool, _now: datetime) -> Callable[[object], Any]:  # noqa: FBT001
        form, _ = FORMS[self._app.form]
        message = form.message(payload, dry_run=dry_run)

        def made(target: object) -> dict[str, Any]:
            form.push(message, target)
            fields: dict[str, Any] = json.loads(json.dumps(dict(message.fields)))
            return fields

        return made


def makers_of(keep: Keep) -> tuple[Callable[[Celery, ApnsApp, str], Any], Callable[[GcmApp], Any]]:
    """Return what makes clients for Apple and for Google."""
    return (
        lambda _celery_app, app, environment: PretendApns(app, environment, keep),
        lambda app: PretendFcm(app, keep),
    )
