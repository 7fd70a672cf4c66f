"""Hands tasks to the broker: they are there when this returns, or it raises, before long."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from celery import Celery
from kombu.exceptions import OperationalError

import pushtasks.tasks  # noqa: F401, every Celery app gets them
from pushtasks.adapters.limits import await_no_results, broker_limits

#: A connection that has gone stale is renewed once; who calls by HTTP can try again himself.
_RETRY: Final = MappingProxyType(
    {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}
)
#: Seconds for a connection, and for an answer.
CONNECT_TIMEOUT: Final = 3.0
ANSWER_TIMEOUT: Final = 10.0


def publish(
    celery_app: Celery, name: str, arguments: Mapping[str, Any], task_id: str | None = None
) -> str:
    """Hand a task to the broker, and return its id.

    Raises:
        InvalidPush: It could not be sent; nothing was handed over.
        OperationalError: Of kombu: the broker has not taken it.
    """
    task: Any = celery_app.tasks[name]
    try:
        sent = task.apply_async(kwargs=dict(arguments), task_id=task_id, retry_policy=dict(_RETRY))
    except RuntimeError as error:  # what Celery raises where the result backend is away
        raise OperationalError(str(error)) from None
    return str(sent.id)


def bound_waiting(celery_app: Celery) -> None:
    """Let no call to broker or result backend wait for long; for a process that only serves.

    What is set already stays.

    Args:
        celery_app: Before it has opened anything.
    """
    await_no_results()
    conf: Any = celery_app.conf
    conf.broker_transport_options = {
        **broker_limits(celery_app, ANSWER_TIMEOUT, CONNECT_TIMEOUT),
        **_RETRY,
        **(conf.broker_transport_options or {}),
    }
    if conf.redis_socket_connect_timeout is None:
        conf.redis_socket_connect_timeout = CONNECT_TIMEOUT
    conf.redis_socket_timeout = min(conf.redis_socket_timeout or ANSWER_TIMEOUT, ANSWER_TIMEOUT)
