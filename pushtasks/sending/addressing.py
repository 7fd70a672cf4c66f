"""Entries of a list, as the caller wrote them, as devices each with its push."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import starmap
from typing import Any

from celery import Celery

from pushtasks.apns.binary import Frame
from pushtasks.apns.client import ApnsClient, Push, SharedPushes
from pushtasks.apns.gateway import GatewayClient
from pushtasks.apns.notification import (
    Notification,
    apns_id,
    are_device_tokens,
    device_apns_id,
    device_token,
)
from pushtasks.config import ApnsApp, GcmApp
from pushtasks.errors import InvalidPush
from pushtasks.fcm.client import Sender
from pushtasks.feedback.reading import known_dead
from pushtasks.results import Provider, Verdict
from pushtasks.retries import KNOWN_DEAD
from pushtasks.sending.arguments import (
    IDENTIFIER,
    Arguments,
    apns_entry,
    apns_notification,
    fcm_entry,
    shown_token,
)
from pushtasks.sending.delivery import Device, Devices, Policy


def policy(provider: Provider, app: ApnsApp | GcmApp) -> Policy:
    """Return how an app goes about failures."""
    return Policy(provider, app.name, app.retries, app.unanswered == "resend")


def apns_devices(
    client: ApnsClient | GatewayClient,
    app: ApnsApp,
    arguments: Arguments,
    list_id: str,
    entries: Mapping[int, Any],
) -> Devices[Any]:
    """Return the devices of a list for Apple.

    Args:
        client: Of the app.
        app: The app.
        arguments: What all devices share, as of `send_apns_many`.
        list_id: What the `apns-id` of each is made of, with its place.
        entries: By place in the caller's list: device tokens, or `[token, {overrides}]` pairs.

    Raises:
        InvalidPush: What they share could be sent to none.
    """
    shared = _ApnsList(
        client,
        apns_notification(arguments, topic=app.topic),
        {**arguments, "topic": arguments.get("topic") or app.topic},
        list_id,
    )
    if isinstance(client, ApnsClient) and {*map(type, entries.values())} == {str}:
        return shared.alike(entries)
    return Devices.of(starmap(shared.device, entries.items()))


def fcm_devices(
    client: Sender, arguments: Arguments, entries: Mapping[int, Any], *, may_override: bool = False
) -> Devices[Any]:
    """Return the devices of a list for Google.

    Args:
        client: Of the app.
        arguments: What all devices share, as of `send_gcm_many`.
        entries: By place in the caller's list: targets.
        may_override: Whether `[target, {"payload": …}]` pairs are among them.

    Raises:
        InvalidPush: What they share could be sent to none.
    """

    def message(payload: object) -> Callable[[object], Any]:
        dry_run = arguments.get("dry_run", False)
        return client.message(payload, dry_run=dry_run, now=datetime.now(UTC))

    shared = message(arguments["payload"])
    if not may_override:
        return Devices.of(_fcm_device(place, target, shared) for place, target in entries.items())
    return Devices.of(_fcm_pair(place, it, shared, message) for place, it in entries.items())


def spared(
    celery_app: Celery, provider: Provider, app: ApnsApp | GcmApp, devices: Devices[Any]
) -> Devices[Any]:
    """Settle devices that are known to be dead, if the app leaves such out."""
    tokens = [*devices.tokens, *(device.token for device in devices.settled)]
    dead = verdicts_of_dead(celery_app, provider, app, tokens)
    if not dead:
        return devices
    return Devices.of(
        device._replace(push=dead[device.token]) if device.token in dead else device
        for device in devices
    )


def verdicts_of_dead(
    celery_app: Celery, provider: Provider, app: ApnsApp | GcmApp, tokens: Sequence[str]
) -> dict[str, Verdict]:
    """Return verdicts of the devices that are known to be dead, if the app leaves such out."""
    if not app.skip_dead:
        return {}
    dead = known_dead(celery_app, provider, app.name, tokens)
    return {token: Verdict(None, KNOWN_DEAD, dead_since=since) for token, since in dead.items()}


@dataclass(frozen=True, slots=True)
class _ApnsList:
    """What the entries of a list for Apple have in common."""

    client: ApnsClient | GatewayClient
    notification: Notification
    #: For entries that override some of them.
    arguments: Arguments
    list_id: str

    def alike(self, entries: Mapping[int, str]) -> Devices[Push]:
        """Return devices that all get what they share, since their entries are mere tokens."""
        tokens, refused = _checked(entries)
        places = list(tokens)
        pushes = SharedPushes(self.notification, list(tokens.values()), self.list_id, places)
        return Devices(places, [entries[place] for place in places], pushes, refused)

    def device(self, place: int, entry: Any) -> Device[Any]:
        """Return a device with what it gets, or why it gets nothing."""
        if not isinstance(entry, str):
            return self._pair(place, entry)
        try:
            token, chosen = device_token(entry), device_apns_id(self.list_id, place)
            return Device(place, entry, self.client.push(token, self.notification, chosen))
        except InvalidPush as error:
            return Device(place, entry, error)

    def _pair(self, place: int, entry: Any) -> Device[Any]:
        """Return a device of whose push some may hold for it alone."""
        token, notification = entry, self.notification
        try:
            token, overrides = apns_entry(entry)
            if overrides.keys() - {IDENTIFIER}:
                notification = apns_notification({**self.arguments, **overrides}, topic=None)
            own_id = overrides.get("apns_id")
            chosen = apns_id(own_id) if own_id else device_apns_id(self.list_id, place)
            push: Any = self.client.push(device_token(token), notification, chosen)
        except InvalidPush as error:
            return Device(place, shown_token(token), error)
        if isinstance(push, Frame) and IDENTIFIER in overrides:  # a refusal may come too late
            push = push._replace(label=overrides[IDENTIFIER])
        return Device(place, token, push)


def _checked(entries: Mapping[int, str]) -> tuple[Mapping[int, str], list[Device[Any]]]:
    """Return device tokens as Apple takes them, by place, and the devices whose entry is none."""
    if are_device_tokens(list(entries.values())):
        return entries, []
    tokens: dict[int, str] = {}
    refused: list[Device[Any]] = []
    for place, entry in entries.items():
        try:
            tokens[place] = device_token(entry)
        except InvalidPush as error:
            refused.append(Device(place, entry, error))
    return tokens, refused


def _fcm_device(place: int, target: Any, push: Callable[[object], Any]) -> Device[Any]:
    token = shown_token(target)
    try:
        return Device(place, token, push(target))
    except InvalidPush as error:
        return Device(place, token, error)


def _fcm_pair(
    place: int,
    entry: Any,
    shared: Callable[[object], Any],
    message: Callable[[object], Callable[[object], Any]],
) -> Device[Any]:
    try:
        target, overrides = fcm_entry(entry)
        push = message(overrides["payload"]) if overrides else shared
    except InvalidPush as error:
        return Device(place, shown_token(entry), error)
    return _fcm_device(place, target, push)
