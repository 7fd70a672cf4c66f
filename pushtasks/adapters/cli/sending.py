"""Calls tasks, and waits for what becomes of them."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click
from celery import Celery
from celery.exceptions import TimeoutError as ResultTimeoutError

from pushtasks.adapters.broker import (
    Unreachable,
    connect_broker,
    connect_results,
    has_results,
    queue_of,
    queues_by_worker,
)
from pushtasks.adapters.cli.output import warn
from pushtasks.errors import PushError

#: Devices of one task, where there are many.
SLICE: Final = 1000
#: Seconds without any result after which to ask whether there is a worker.
IMPATIENCE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Call:
    """One task to be called."""

    task: Any
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Settled:
    """What is known of one called task in the end."""

    task_id: str
    #: As Celery has it: SUCCESS, FAILURE; PENDING, STARTED, RETRY if the time was up.
    state: str
    result: Mapping[str, Any] | None = None
    error: BaseException | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        shown: dict[str, Any] = {"id": self.task_id, "state": self.state}
        if self.result is not None:
            shown["result"] = self.result
        if self.error is not None:
            shown["error"] = {"type": type(self.error).__name__, "message": str(self.error)}
        return shown

    @property
    def is_accepted(self) -> bool:
        """Whether each of its devices was accepted."""
        if self.result is None:
            return False
        return (
            not self.result["failures"]
            if "failures" in self.result
            else (self.result["outcome"] == "accepted")
        )


def calls(one: Any, many: Any, name: str, devices: Sequence[Any], **arguments: Any) -> list[Call]:
    """Return the calls for a number of devices: one task for one, else a task for each slice.

    Args:
        one: The task for one device.
        many: The task for a list.
        name: The argument that `many` takes the list as; `one` takes the device first.
        devices: At least one.
        arguments: What both take.
    """
    given = {key: value for key, value in arguments.items() if value is not None}
    if len(devices) == 1:
        first = "token" if name == "tokens" else name
        return [Call(one, {first: devices[0], **given})]
    slices = (devices[start : start + SLICE] for start in range(0, len(devices), SLICE))
    return [Call(many, {name: list(part), **given}) for part in slices]


def perform(todo: Sequence[Call]) -> Iterator[Settled]:
    """Run tasks in this process, without broker and worker."""
    logging.getLogger("celery").addHandler(logging.NullHandler())  # an error is told once, by us
    for call in todo:
        call.task.checked(**call.arguments)
        done = call.task.apply(kwargs=dict(call.arguments))
        yield _settled(done.id, done.state, done.result)


def hand_over(app: Celery, todo: Sequence[Call], *, with_results: bool) -> list[Any]:
    """Hand tasks to the workers and return their promised results.

    Raises:
        click.ClickException: The broker, or the result backend if it is needed, cannot be reached.
        InvalidPush: An argument is wrong; the tasks before it have been sent.
    """
    _require("broker", connect_broker, app, "PUSHTASKS_BROKER_URL")
    if with_results or has_results(app):
        _require("result backend", connect_results, app, "PUSHTASKS_RESULT_BACKEND")
    return [call.task.apply_async(kwargs=dict(call.arguments)) for call in todo]


def _require(what: str, connect: Callable[[Celery], str], app: Celery, variable: str) -> None:
    try:
        connect(app)
    except Unreachable as error:
        raise click.ClickException(
            f"{what} {error}: start it, correct {variable}, or send from here with --direct"
        ) from None


def wait(app: Celery, todo: Sequence[Call], sent: Sequence[Any], limit: float) -> Iterator[Settled]:
    """Return what becomes of the tasks, in order; those that take longer than `limit` as they are.

    If nothing comes at first and no worker takes tasks from the queue, that is said on standard
    error, and the wait goes on.
    """
    deadline = time.monotonic() + limit
    is_patient = False
    for call, promise in zip(todo, sent, strict=True):
        left = max(0.01, deadline - time.monotonic())
        try:
            if not is_patient and left > IMPATIENCE:
                is_patient = _first_result(app, call, promise)
                left = max(0.01, deadline - time.monotonic())
            value = promise.get(timeout=left, propagate=False)
        except ResultTimeoutError:
            yield unawaited(promise, promise.state)
        else:
            yield _settled(promise.id, promise.state, value)


def unawaited(promise: Any, state: str = "PENDING") -> Settled:
    """Give up a promised result."""
    promise.backend = None  # or it would ask for it once more when Python shuts down
    return Settled(promise.id, state)


def _first_result(app: Celery, call: Call, promise: Any) -> bool:
    """Wait a moment for a first result; return whether there is no need to do so again."""
    try:
        promise.get(timeout=IMPATIENCE, propagate=False)
    except ResultTimeoutError:
        queue = queue_of(app, call.task)
        if not any(queue in queues for queues in queues_by_worker(app).values()):
            warn(
                f"no worker answers on queue {queue}: start one with"
                "  celery -A pushtasks worker  (still waiting)"
            )
    return True


def _settled(task_id: str, state: str, value: Any) -> Settled:
    if not isinstance(value, BaseException):
        return Settled(task_id, state, result=value)
    if not isinstance(value, PushError):
        value = PushError(f"{type(value).__name__}: {value}")
    return Settled(task_id, state, error=value)
