"""One try of a task: check, send, judge; then a result, or the same task once more, later."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pushtasks.apns.client import ApnsClient
from pushtasks.apns.gateway import GatewayClient
from pushtasks.apns.notification import Notification, apns_id, device_apns_id, device_token
from pushtasks.arguments import (
    Arguments,
    apns_entry,
    apns_notification,
    shown_token,
)
from pushtasks.clients import apns_client, fcm_client
from pushtasks.config import ApnsApp, GcmApp, current_settings
from pushtasks.delivery import Device, Later, Policy, deliver_many, deliver_one
from pushtasks.errors import InvalidPush
from pushtasks.fcm.client import Sender
from pushtasks.gathering import Gathering, Listing, Summary
from pushtasks.progress import Progress
from pushtasks.results import APNS, GCM, Provider, Verdict
from pushtasks.task_base import MaskedDict, PushTask


def named(variables: Mapping[str, Any]) -> Arguments:
    """Return the arguments of a task function from its `locals()`, without those left out."""
    return {key: value for key, value in variables.items() if key != "self" and value is not None}


def to_apns_device(task: PushTask, arguments: Arguments) -> dict[str, Any]:
    """Try to send to one device at Apple."""
    attempt = Attempt(task, arguments)
    arguments, app = attempt.arguments, attempt.apns_app
    client = attempt.apns_client()
    push: Any = client.push(
        device_token(arguments["token"]),
        apns_notification(arguments, topic=app.topic),
        arguments.get("apns_id") or _task_apns_id(task.request.id),
    )
    verdict = client.send([push])[0]
    return attempt.end_one(_policy(APNS, app), arguments["token"], verdict)


def to_apns_devices(task: PushTask, arguments: Arguments) -> dict[str, Any]:
    """Try to send to the devices of a list at Apple that are left."""
    attempt = Attempt(task, arguments)
    arguments, app = attempt.arguments, attempt.apns_app
    client = attempt.apns_client()
    common = _ApnsList(
        client,
        apns_notification(arguments, topic=app.topic),
        {**arguments, "topic": arguments.get("topic") or app.topic},
        task.request.id or str(uuid.uuid4()),
    )
    devices = [common.device(place, entry) for place, entry in attempt.left("tokens").items()]
    gathering = Summary(APNS, app.name, attempt.progress.gathered)
    send: Any = partial(client.send, is_list=True)
    later = deliver_many(_policy(APNS, app), attempt.progress, devices, send, gathering)
    return attempt.end_many(later, gathering, "tokens")


def to_fcm(task: PushTask, arguments: Arguments) -> dict[str, Any]:
    """Try to send to one target at Google, or to those of a list that are left."""
    attempt = Attempt(task, arguments)
    targets, app = attempt.arguments["registration_ids"], attempt.gcm_app
    if isinstance(targets, list | tuple):
        multicast_id = task.request.id or str(uuid.uuid4())
        return _to_targets(attempt, Listing(app.name, multicast_id, attempt.progress.gathered))
    client = fcm_client(task.app, app.name)
    [device] = _fcm_devices(attempt, client, {0: targets})
    if isinstance(device.push, InvalidPush):
        raise device.push
    verdict = client.send([device.push])[0]
    return attempt.end_one(_policy(GCM, app), device.token, verdict)


def to_fcm_many(task: PushTask, arguments: Arguments) -> dict[str, Any]:
    """Try to send to the targets of a list at Google that are left, and sum the results up."""
    attempt = Attempt(task, arguments)
    return _to_targets(attempt, Summary(GCM, attempt.gcm_app.name, attempt.progress.gathered))


def _to_targets(attempt: "Attempt", gathering: Gathering) -> dict[str, Any]:
    app = attempt.gcm_app
    client = fcm_client(attempt.task.app, app.name)
    devices = _fcm_devices(attempt, client, attempt.left("registration_ids"))
    later = deliver_many(_policy(GCM, app), attempt.progress, devices, client.send, gathering)
    return attempt.end_many(later, gathering, "registration_ids")


class Attempt:
    """One try of a task, with its arguments and with what earlier tries have left."""

    def __init__(self, task: PushTask, arguments: Arguments) -> None:
        """Check the arguments; a task that has come before its time goes back at once."""
        self.task = task
        self.arguments = task.checked(**arguments)
        self.progress = Progress.of(self.arguments.pop("_progress", None))
        task.wait(self.arguments, self.progress)

    @property
    def apns_app(self) -> ApnsApp:
        """The settings of the app, one of Apple's."""
        return current_settings(self.task.app).apns_app(self.arguments["app"])

    @property
    def gcm_app(self) -> GcmApp:
        """The settings of the app, one of Google's."""
        return current_settings(self.task.app).gcm_app(self.arguments["app"])

    def apns_client(self) -> ApnsClient | GatewayClient:
        """Return this process's client for the app, in the environment that is asked for."""
        environment = self.arguments.get("environment")
        return apns_client(self.task.app, self.arguments["app"], environment)

    def left(self, name: str) -> dict[int, Any]:
        """Return what is left of a list that is an argument, by place in the caller's list."""
        entries = self.arguments[name]
        places = range(len(entries)) if self.progress.places is None else self.progress.places
        return dict(zip(places, entries, strict=True))

    def end_one(self, policy: Policy, token: str, verdict: Verdict) -> dict[str, Any]:
        """Return the task's result, or have it tried again."""
        result = deliver_one(policy, self.progress, token, verdict)
        if isinstance(result, Later):
            self.task.again(self.arguments, self.progress, result.pause, result.error)
        return self._handed_over(result.to_dict())

    def end_many(self, later: Later | None, gathering: Gathering, name: str) -> dict[str, Any]:
        """Return the result of a task with a list, or have what is left of it tried again."""
        if later:
            left = self.left(name)
            self.progress.places, self.progress.gathered = later.places, gathering.state()
            rest = {**self.arguments, name: [left[place] for place in later.places]}
            self.task.again(rest, self.progress, later.pause, later.error)
        return self._handed_over(gathering.to_dict())

    def _handed_over(self, result: dict[str, Any]) -> dict[str, Any]:
        """A worker hands its result to Celery, which logs it; anybody else gets a plain dict."""
        request = self.task.request
        return result if request.called_directly or request.is_eager else MaskedDict(result)


def _policy(provider: Provider, app: ApnsApp | GcmApp) -> Policy:
    return Policy(provider, app.name, app.retries, app.unanswered == "resend")


def _task_apns_id(task_id: str | None) -> str:
    if task_id is None:
        return str(uuid.uuid4())
    try:
        return apns_id(task_id)
    except InvalidPush:  # somebody chose a task id that is no UUID
        return device_apns_id(task_id, 0)


@dataclass(frozen=True, slots=True)
class _ApnsList:
    """What the entries of a list for Apple have in common."""

    client: ApnsClient | GatewayClient
    notification: Notification
    #: For entries that override some of them.
    arguments: Arguments
    task_id: str

    def device(self, place: int, entry: Any) -> Device[Any]:
        token, notification, identifier = entry, self.notification, None
        try:
            if not isinstance(entry, str):
                token, overrides = apns_entry(entry)
                identifier = overrides.get("apns_id")
                if overrides:
                    notification = apns_notification({**self.arguments, **overrides}, topic=None)
            chosen = apns_id(identifier) if identifier else device_apns_id(self.task_id, place)
            push = self.client.push(device_token(token), notification, chosen)
        except InvalidPush as error:
            return Device(place, shown_token(token), error)
        return Device(place, token, push)


def _fcm_devices(attempt: Attempt, client: Sender, targets: Mapping[int, Any]) -> list[Device[Any]]:
    push = client.message(
        attempt.arguments["payload"],
        dry_run=attempt.arguments.get("dry_run", False),
        now=datetime.now(UTC),
    )
    return [_fcm_device(place, target, push) for place, target in targets.items()]


def _fcm_device(place: int, target: Any, push: Callable[[object], Any]) -> Device[Any]:
    token = shown_token(target)
    try:
        return Device(place, token, push(target))
    except InvalidPush as error:
        return Device(place, token, error)
