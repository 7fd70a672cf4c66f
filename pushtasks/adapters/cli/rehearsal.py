"""Sends what the demo sends, and gathers what became of it."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from celery.exceptions import TimeoutError as ResultTimeoutError
from celery.result import AsyncResult

import pushtasks
from pushtasks.adapters.broker import store_of
from pushtasks.adapters.cli.control import Control
from pushtasks.adapters.cli.scenario import DEAD_FOR, Device, Step, differences, forgotten
from pushtasks.host import current_app
from pushtasks.news import Entry
from pushtasks.results import Outcome

PAYLOAD: Final[Mapping[str, Any]] = {
    "send_apns": {"aps": {"alert": "Hello from pushtasks"}},
    "send_apns_many": {"aps": {"alert": "Hello, everybody"}},
    "send_gcm": {"notification": {"title": "Hello from pushtasks"}},
}
#: Seconds that all tasks together have.
LIMIT: Final = 60.0
#: Entries of the feedback stream that are shown, at the most.
NEWS: Final = 100


@dataclass(frozen=True, slots=True)
class Performed:
    """One step, and what its task returned."""

    step: Step
    #: None if the task failed.
    result: Mapping[str, Any] | None
    error: str | None

    def shown(self) -> list[tuple[Device, Mapping[str, Any]]]:
        """Return the devices that the result names, each with its own result."""
        devices = {device.token: device for device in self.step.devices}
        if self.result is None:
            return []
        named = self.result.get("results", self.result.get("failures", [self.result]))
        return [(devices[one["token"]], one) for one in named]

    @property
    def is_summary(self) -> bool:
        """Whether the result names only devices whose push was not accepted."""
        return self.result is not None and "failures" in self.result


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What became of everything."""

    performed: tuple[Performed, ...]
    #: How often a push to a device has arrived, by token.
    tries: Mapping[str, int]
    #: What the provider answered to the first of several tries, by token.
    setbacks: Mapping[str, str]
    seconds: float
    #: Connections opened, by service.
    connections: Mapping[str, int]
    #: What `poll_feedback` returned; None if it failed.
    polled: Mapping[str, Any] | None
    #: What the report says after all that, and the feedback stream.
    report: Mapping[str, Any]
    news: tuple[Entry, ...]

    @property
    def pushes(self) -> int:
        """How many requests have arrived."""
        return sum(self.tries.values())

    def differences(self) -> list[str]:
        """Return a line for everything that did not come as scripted."""
        lines = [line for one in self.performed for line in self._differences(one)]
        return [*lines, *self._feedback_differences()]

    def _feedback_differences(self) -> Iterator[str]:
        told = {entry.token for entry in self.news}
        for step in (one.step for one in self.performed):
            for device in step.devices:
                if device.is_news and device.token not in told:
                    yield f"feedback stream, device {device.token[:6]}: missing"
        if self.polled is None:
            yield "poll_feedback: it failed"
        elif forgotten() not in told:
            yield f"poll_feedback, device {forgotten()[:6]}: missing"

    def _differences(self, performed: Performed) -> Iterator[str]:
        step, call = performed.step, performed.step.call
        if performed.error is not None:
            yield f"{call}: {performed.error}"
            return
        shown = performed.shown()
        for device, result in shown:
            for line in differences(device, result, self.tries.get(device.token, 0)):
                yield f"{call}, device {device.token[:6]}: {line}"
        named = {device.token for device, _ in shown}
        for device in step.devices:
            is_named = not performed.is_summary or device.outcome is not Outcome.ACCEPTED
            if is_named != (device.token in named):
                yield f"{call}, device {device.token[:6]}: {'missing' if is_named else 'named'}"
        if performed.is_summary and performed.result is not None:
            accepted = sum(device.outcome is Outcome.ACCEPTED for device in step.devices)
            if performed.result["accepted"] != accepted:
                yield f"{call}: {performed.result['accepted']} accepted instead of {accepted}"


def rehearse(steps: tuple[Step, ...], control: Control) -> Rehearsal:
    """Call the tasks, as any application would, and wait for their results; then ask for news."""
    for device in (device for step in steps for device in step.devices):
        if device.script is not None:
            control.script(device.token, device.script)
    started = time.monotonic()
    sent = [(step, _call(step)) for step in steps]
    deadline = started + LIMIT
    performed = tuple(_performed(step, result, deadline) for step, result in sent)
    seconds = time.monotonic() - started
    polled = _polled(control)
    store = store_of(current_app())
    received = control.received()
    tries = Counter(entry["token"] for entry in received)
    answers = {entry["token"]: entry["answer"] for entry in reversed(received)}
    setbacks = {
        token: f"first {answers[token]['status']}" for token, count in tries.items() if count > 1
    }
    return Rehearsal(
        performed,
        tries,
        setbacks,
        seconds,
        control.connections(),
        polled,
        store.report(),
        tuple(store.entries(count=NEWS)),
    )


def _polled(control: Control) -> Mapping[str, Any] | None:
    control.forget(forgotten(), int((datetime.now(UTC) - DEAD_FOR).timestamp()))
    result: Mapping[str, Any]
    try:
        result = pushtasks.poll_feedback.delay().get(timeout=LIMIT)
    except (ResultTimeoutError, pushtasks.PushError):
        return None
    return result


def _call(step: Step) -> AsyncResult[Any]:
    tokens = [device.token for device in step.devices]
    task = getattr(pushtasks, step.task)
    devices = tokens if step.is_list else tokens[0]
    sent: AsyncResult[Any] = task.delay(devices, PAYLOAD[step.task], app=step.app)
    return sent


def _performed(step: Step, sent: AsyncResult[Any], deadline: float) -> Performed:
    try:
        value = sent.get(timeout=max(0.1, deadline - time.monotonic()), propagate=False)
    except ResultTimeoutError:
        return Performed(step, None, f"no result within {LIMIT:g} s")
    if isinstance(value, Exception):
        return Performed(step, None, f"{type(value).__name__}: {value}")
    return Performed(step, value, None)
