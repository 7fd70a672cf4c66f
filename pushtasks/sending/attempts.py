"""One try of a task: check, send, judge; then a result, or the same task once more, later."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pushtasks import observers
from pushtasks.apns.client import ApnsClient
from pushtasks.apns.gateway import GatewayClient
from pushtasks.apns.notification import apns_id, device_apns_id, device_token
from pushtasks.clients import apns_client, fcm_client
from pushtasks.config import ApnsApp, GcmApp, current_settings
from pushtasks.errors import InvalidPush, PushError, PushMaybeSent, PushNotSent
from pushtasks.feedback.ledger import Try, count
from pushtasks.feedback.telling import tell
from pushtasks.masking import mask
from pushtasks.observers import Kind
from pushtasks.results import APNS, GCM, Outcome, Result, Verdict
from pushtasks.sending import pacing
from pushtasks.sending.addressing import apns_devices, fcm_devices, policy, spared, verdicts_of_dead
from pushtasks.sending.arguments import Arguments, apns_notification, identifier_of, shown_token
from pushtasks.sending.delivery import Devices, Later, Policy, deliver_many, deliver_one
from pushtasks.sending.gathering import Gathering, Listing, Summary
from pushtasks.sending.identified import log_identified
from pushtasks.sending.observed import Call
from pushtasks.sending.progress import Progress
from pushtasks.sending.task_base import MaskedDict, PushTask


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
    verdict = attempt.known_dead(arguments["token"]) or attempt.send_one(client.send, push)
    return attempt.end_one(policy(APNS, app), arguments["token"], verdict)


def to_apns_devices(task: PushTask, arguments: Arguments) -> dict[str, Any]:
    """Try to send to the devices of a list at Apple that are left."""
    attempt = Attempt(task, arguments)
    arguments, app = attempt.arguments, attempt.apns_app
    client = attempt.apns_client()
    attempt.wait_for_turn(len(arguments["tokens"]))
    list_id = task.request.id or str(uuid.uuid4())
    left = attempt.left("tokens")
    devices = attempt.spared(apns_devices(client, app, arguments, list_id, left))
    gathering = Summary(
        APNS, app.name, attempt.progress.gathered, lambda place: identifier_of(left[place])
    )
    send = attempt.heeding(partial(client.send, is_list=True))
    later = deliver_many(policy(APNS, app), attempt.progress, devices, send, gathering)
    log_identified(app, left, gathering.settled, later.places if later else ())
    return attempt.end_many(later, gathering, "tokens")


def to_fcm(task: PushTask, arguments: Arguments) -> dict[str, Any]:
    """Try to send to one target at Google, or to those of a list that are left."""
    attempt = Attempt(task, arguments)
    targets, app = attempt.arguments["registration_ids"], attempt.gcm_app
    if isinstance(targets, list | tuple):
        multicast_id = task.request.id or str(uuid.uuid4())
        return _to_targets(attempt, Listing(app.name, multicast_id, attempt.progress.gathered))
    client = fcm_client(task.app, app.name)
    [device] = fcm_devices(client, attempt.arguments, {0: targets})
    push: Any = device.push
    if isinstance(push, InvalidPush):
        raise push
    verdict = attempt.known_dead(targets) or attempt.send_one(client.send, push)
    return attempt.end_one(policy(GCM, app), targets, verdict)


def to_fcm_many(task: PushTask, arguments: Arguments) -> dict[str, Any]:
    """Try to send to the targets of a list at Google that are left, and sum the results up."""
    attempt = Attempt(task, arguments)
    return _to_targets(attempt, Summary(GCM, attempt.gcm_app.name, attempt.progress.gathered))


def _to_targets(attempt: "Attempt", gathering: Gathering) -> dict[str, Any]:
    app = attempt.gcm_app
    client = fcm_client(attempt.task.app, app.name)
    attempt.wait_for_turn(len(attempt.arguments["registration_ids"]))
    left = attempt.left("registration_ids")
    devices = attempt.spared(fcm_devices(client, attempt.arguments, left))
    send = attempt.heeding(client.send)
    later = deliver_many(policy(GCM, app), attempt.progress, devices, send, gathering)
    return attempt.end_many(later, gathering, "registration_ids")


class Attempt:
    """One try of a task, with its arguments and with what earlier tries have left."""

    def __init__(self, task: PushTask, arguments: Arguments) -> None:
        """Check the arguments; a task that has come before its time goes back at once."""
        self.task = task
        self.arguments = task.checked(**arguments)
        self.progress = Progress.of(self.arguments.pop("_progress", None))
        self._call: Call | None = None
        task.wait(self.arguments, self.progress)

    @property
    def apns_app(self) -> ApnsApp:
        """The settings of the app, one of Apple's."""
        return current_settings(self.task.app).apns_app(self.arguments["app"])

    @property
    def gcm_app(self) -> GcmApp:
        """The settings of the app, one of Google's."""
        return current_settings(self.task.app).gcm_app(self.arguments["app"])

    @property
    def app(self) -> ApnsApp | GcmApp:
        """The settings of the app."""
        return self.apns_app if self.task.provider == APNS else self.gcm_app

    @property
    def environment(self) -> str:
        """The environment that is asked for; empty at Google, which has none."""
        if self.task.provider != APNS:
            return ""
        return self.arguments.get("environment") or self.apns_app.environment

    def apns_client(self) -> ApnsClient | GatewayClient:
        """Return this process's client for the app, in the environment that is asked for."""
        environment = self.arguments.get("environment")
        return apns_client(self.task.app, self.arguments["app"], environment)

    def left(self, name: str) -> dict[int, Any]:
        """Return what is left of a list that is an argument, by place in the caller's list."""
        entries = self.arguments[name]
        places = range(len(entries)) if self.progress.places is None else self.progress.places
        return dict(zip(places, entries, strict=True))

    def known_dead(self, entry: Any) -> Verdict | None:
        """Return the verdict of a device that is known to be dead, if it is to be left out."""
        token = shown_token(entry)
        return verdicts_of_dead(self.task.app, self.task.provider, self.app, [token]).get(token)

    def spared(self, devices: Devices[Any]) -> Devices[Any]:
        """Settle devices of a list that are known to be dead, if they are to be left out."""
        return spared(self.task.app, self.task.provider, self.app, devices)

    def wait_for_turn(self, count: int) -> None:
        """Send a list away until its app may send so many pushes, if it must wait."""
        if not self.task.comes_again():
            return
        limit = pacing.limit_of(self.task.provider, self.app)
        slots = self.progress.slots
        turn = pacing.turn(self.task.app, limit, count, slots.get(limit.provider, 0))
        slots[limit.provider] = turn.slot
        if turn.wait:
            reason = PushError(
                f"{limit.provider} app {limit.app!r} sends again in {turn.wait:.1f} s"
            )
            self.task.send_back(self.arguments, self.progress, turn.wait, reason)
        slots.clear()

    def heeding(
        self, send: Callable[[Sequence[Any]], list[Verdict]]
    ) -> Callable[..., list[Verdict]]:
        """Return a function that sends, and has all workers heed a provider that asks to wait."""
        limit = pacing.limit_of(self.task.provider, self.app)

        def heed(pushes: Sequence[Any]) -> list[Verdict]:
            verdicts = self._send(Kind.LIST, send, pushes)
            pacing.heed(self.task.app, limit, verdicts)
            return verdicts

        return heed

    def send_one(self, send: Callable[[Sequence[Any]], list[Verdict]], push: Any) -> Verdict:
        """Send a single push, and return what came of it."""
        return self._send(Kind.SINGLE, send, [push])[0]

    def end_one(self, policy: Policy, entry: Any, verdict: Verdict) -> dict[str, Any]:
        """Return the task's result, or have it tried again."""
        token = shown_token(entry)
        try:
            result = deliver_one(policy, self.progress, token, verdict)
        except (PushNotSent, PushMaybeSent) as error:
            is_lost = isinstance(error, PushMaybeSent)
            outcome = Outcome.MAYBE_SENT if is_lost else Outcome.NOT_SENT
            lost = Result(policy.provider, policy.app, token, outcome, reason=verdict.reason)
            self._tell(Kind.SINGLE, [(entry, lost)])
            raise
        if isinstance(result, Later):
            self._tell(Kind.SINGLE, [], later=result)
            self.task.again(self.arguments, self.progress, result.pause, result.error)
        self._tell(Kind.SINGLE, [(entry, result)])
        return self._handed_over(result.to_dict())

    def end_many(self, later: Later | None, gathering: Gathering, name: str) -> dict[str, Any]:
        """Return the result of a task with a list, or have what is left of it tried again."""
        entries = self.left(name) if later or gathering.settled else {}
        settled = [(entries[place], result) for place, result in gathering.settled]
        self._tell(Kind.LIST, settled, tried=len(self.arguments[name]), later=later)
        if later:
            self.progress.places, self.progress.gathered = later.places, gathering.state()
            rest = {**self.arguments, name: [entries[place] for place in later.places]}
            self.task.again(rest, self.progress, later.pause, later.error)
        return self._handed_over(gathering.to_dict())

    def _send(
        self, kind: Kind, send: Callable[[Sequence[Any]], list[Verdict]], pushes: Sequence[Any]
    ) -> list[Verdict]:
        if not observers.registered:
            return send(pushes)
        self._call = Call(self.task.provider, self.app.name, kind)
        return self._call.make(send, pushes)

    def _tell(
        self,
        kind: Kind,
        settled: list[tuple[Any, Result]],
        *,
        tried: int = 1,
        later: Later | None = None,
    ) -> None:
        comes_again = not self.task.request.called_directly
        left = (len(later.places) or 1) if later else 0
        one = Try(
            self.task.provider,
            self.app.name,
            self.environment,
            is_first=self.progress.tries == 0,
            tried=tried,
            left=left if comes_again else 0,
            given_up=0 if comes_again else left,
        )
        tell(self.task.app, count(one, settled, datetime.now(UTC)))
        if observers.registered:
            self._tell_observers(kind, one, [result for _, result in settled], later)

    def _tell_observers(
        self, kind: Kind, one: Try, others: list[Result], later: Later | None
    ) -> None:
        call = self._call or Call(one.provider, one.app, kind)
        targets = self.arguments.get("token", self.arguments.get("registration_ids"))
        call.tell(
            one.tried - len(others) - one.left - one.given_up,
            others,
            later,
            comes_again=bool(one.left),
            environment=one.environment,
            task_id=self.task.request.id,
            tries=self.progress.tries,
            token=mask(shown_token(targets)) if kind is Kind.SINGLE else None,
        )

    def _handed_over(self, result: dict[str, Any]) -> dict[str, Any]:
        """A worker hands its result to Celery, which logs it; anybody else gets a plain dict."""
        request = self.task.request
        return result if request.called_directly or request.is_eager else MaskedDict(result)


def _task_apns_id(task_id: str | None) -> str:
    if task_id is None:
        return str(uuid.uuid4())
    try:
        return apns_id(task_id)
    except InvalidPush:  # somebody chose a task id that is no UUID
        return device_apns_id(task_id, 0)
