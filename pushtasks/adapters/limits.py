"""Limits for calls to a broker, in the words of kombu's transports: left alone, some never end."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from celery import Celery, _state

_celery_state: Any = _state
#: What transports call the time for an answer, by kombu's name for their kind.
_ANSWER: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"redis": ("socket_timeout",), "amqp": ("read_timeout", "write_timeout")}
)
#: The time for a connection, where there is no end to it by itself.
_CONNECT: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"redis": ("socket_connect_timeout",)}
)


def broker_limits(
    celery_app: Celery, answer: float, connect: float | None = None
) -> dict[str, float]:
    """Return transport options under which no call to an app's broker waits for long.

    Args:
        celery_app: Whose broker it is; nothing is opened.
        answer: Seconds for an answer.
        connect: Seconds for a connection; left out, as for an answer.
    """
    try:
        kind: Any = celery_app.connection_for_write().transport.driver_type
    except (ImportError, LookupError, ValueError):  # no address: whoever connects is told
        return {}
    return {
        **dict.fromkeys(_ANSWER.get(kind, ()), answer),
        **dict.fromkeys(_CONNECT.get(kind, ()), connect or answer),
    }


def await_no_results() -> None:
    """Keep Celery from subscribing to the result of each task that this process sends.

    It does so in case that the process waits for one, which a process that only hands tasks over
    never does: two commands to Redis for each task, and a long wait where that is away. It holds
    for the whole process, and so is for commands only.
    """
    _celery_state._set_task_join_will_block(True)  # noqa: SLF001, FBT003, as in Celery's workers
