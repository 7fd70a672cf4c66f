"""Carries push tasks out where they are called, as a worker would, instead of over a broker.

Whatever sends one comes through `Celery.send_task`: `delay`, `apply_async`, a `group` or `chain`, a
fan-out, a call by name. What a worker would send on then, the next of a chain or a callback, is
carried out here as well, whoever's task it is.
"""

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, Final, NamedTuple

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback  # type: ignore[attr-defined]
from celery import Celery, states
from celery.app.trace import build_tracer
from celery.exceptions import Retry
from celery.result import EagerResult
from celery.utils import uuid
from kombu.serialization import dumps, loads

from pushtasks.testing.task_results import TaskResults

PREFIX: Final = "pushtasks."
#: Of what `send_task` is given, what a task's caller has not said.
_NOT_OPTIONS: Final = frozenset(
    {
        *("self", "name", "args", "kwargs", "task_id", "task_type", "result_cls", "producer"),
        *("argsrepr", "kwargsrepr", "add_to_parent", "router", "connection", "publisher"),
        *("chain", "chord", "link", "link_error", "root_id", "parent_id", "group_id"),
        *("group_index", "serializer", "ignore_result", "options"),
    }
)


class Call(NamedTuple):
    """A push task that is carried out at this moment."""

    name: str
    task_id: str
    #: What the caller said of its delivery: `countdown`, `eta`, `queue`, `priority` and so on.
    options: Mapping[str, Any]


_current: ContextVar[Call | None] = ContextVar("pushtasks_testing_call", default=None)


def current_call() -> Call | None:
    """Return the push task that this thread carries out; None if a task is called directly."""
    return _current.get()


@contextmanager
def carried_out_here() -> Iterator[None]:
    """Let no push task leave the process, whichever Celery app it is called on."""
    send_task, results = Celery.send_task, TaskResults()
    Celery.send_task = _instead_of(send_task, results)  # type: ignore[method-assign]
    try:
        with results.are_found():
            yield
    finally:
        Celery.send_task = send_task  # type: ignore[method-assign]


def _instead_of(send_task: Callable[..., Any], results: TaskResults) -> Callable[..., Any]:
    signature = inspect.signature(send_task)

    @wraps(send_task)
    def send_task_here(celery_app: Celery, *args: Any, **kwargs: Any) -> Any:
        given = signature.bind(celery_app, *args, **kwargs).arguments
        is_ours = given["name"].startswith(PREFIX)
        if not is_ours and _current.get() is None:
            return send_task(celery_app, *args, **kwargs)
        result = _carry_out(celery_app, {**given, **given.get("options", {})}, is_ours=is_ours)
        if isinstance(result, EagerResult):
            results.keep(result)
        return result

    return send_task_here


def _carry_out(celery_app: Celery, given: Mapping[str, Any], *, is_ours: bool) -> Any:
    name, task_id = given["name"], given.get("task_id") or uuid()
    task = celery_app.tasks.get(name)
    if task is None:
        warnings.warn(f"task {name!r} is not known in this process: not run", stacklevel=2)
        return celery_app.AsyncResult(task_id)
    if given.get("chord"):
        raise NotImplementedError(
            "a chord of push tasks is counted by its result backend, and these never get there:"
            " set task_always_eager in this test"
        )
    args, kwargs = _transported(task, given)
    if not is_ours:
        return _carry_on(task, task_id, args, kwargs, given)
    options = {
        key: value for key, value in given.items() if value is not None and key not in _NOT_OPTIONS
    }
    with _calling(Call(name, task_id, options)):
        return _traced(task, task_id, args, kwargs, given)


def _carry_on(
    task: Any, task_id: str, args: Any, kwargs: Any, given: Mapping[str, Any]
) -> "EagerResult[Any]":
    """Run a task of the host's that follows a push, and what follows it; not what it calls."""
    with _calling(None):
        result = _traced(task, task_id, args, kwargs, {**given, "link": None, "chain": None})
    if result.state != states.SUCCESS:
        return result
    for callback in _listed(given.get("link")) or ():
        task.app.signature(callback).apply_async((result.result,))
    chain = given.get("chain")
    if chain:
        task.app.signature(chain[-1]).apply_async((result.result,), chain=chain[:-1])
    return result


@contextmanager
def _calling(call: Call | None) -> Iterator[None]:
    token = _current.set(call)
    try:
        yield
    finally:
        _current.reset(token)


def _transported(task: Any, given: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return arguments as a worker would get them.

    Raises:
        kombu.exceptions.EncodeError: They are nothing that a message can hold.
    """
    serializer = given.get("serializer") or task.serializer
    body = (given.get("args") or (), given.get("kwargs") or {})
    content_type, encoding, data = dumps(body, serializer)
    args, kwargs = loads(data, content_type, encoding, accept=[content_type])
    return args, kwargs


def _traced(
    task: Any, task_id: str, args: Any, kwargs: Any, given: Mapping[str, Any]
) -> "EagerResult[Any]":
    """Run a task to its end, through all its tries, as Celery itself does; nothing is raised."""
    tracer = build_tracer(task.name, task, eager=True, propagate=False, app=task.app)
    request = _request(task, task_id, given)
    while True:
        traced = tracer(task_id, args, kwargs, request)
        value: Any = traced.retval
        traceback = None
        if traced.info is None:
            return EagerResult(task_id, value, states.SUCCESS, name=task.name)
        if isinstance(value, ExceptionInfo):
            value, traceback = value.exception, value.traceback
        if isinstance(value, ExceptionWithTraceback):
            value = value.exc
        if not isinstance(value, Retry) or value.sig is None:  # type: ignore[attr-defined]
            return EagerResult(task_id, value, traced.info.state, traceback, name=task.name)
        args, kwargs = value.sig.args, value.sig.kwargs  # type: ignore[attr-defined]
        request["retries"] += 1


def _request(task: Any, task_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the task learns of its call."""
    return {
        "id": task_id,
        "task": task.name,
        "root_id": given.get("root_id") or task_id,
        "parent_id": given.get("parent_id"),
        "retries": 0,
        "is_eager": True,
        "callbacks": _listed(given.get("link")),
        "errbacks": _listed(given.get("link_error")),
        "chain": given.get("chain"),
        "headers": given.get("headers"),
        "ignore_result": given.get("ignore_result", task.ignore_result),
        "delivery_info": {"is_eager": True, "priority": given.get("priority")},
    }


def _listed(value: Any) -> list[Any] | None:
    if value is None:
        return None
    return list(value) if isinstance(value, list | tuple) else [value]
