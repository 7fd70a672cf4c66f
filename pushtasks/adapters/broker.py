"""Whether a Celery app's broker, result backend and workers are there, in words for people."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import redis
from celery import Celery
from celery.exceptions import ImproperlyConfigured
from kombu.exceptions import OperationalError

from pushtasks import redis_urls
from pushtasks.adapters.limits import broker_limits
from pushtasks.errors import InvalidSettings
from pushtasks.store import Store, current_store

#: Seconds.
CONNECT_TIMEOUT: Final = 3.0
ANSWER_TIMEOUT: Final = 5.0
REPLY_TIMEOUT: Final = 1.0

_PASSWORD: Final = re.compile(r"(?<=:)[^:/@]*(?=@)")


class Unreachable(Exception):
    """Something cannot be reached; its message is one line."""


def connect_broker(app: Celery) -> str:
    """Connect to the broker once and return its address, without a password.

    Raises:
        Unreachable: It cannot be reached.
    """
    connection, address = _broker(app)
    with connection:
        _ensure(connection, address)
    return address


def tasks_waiting(app: Celery, queues: Iterable[str]) -> Mapping[str, int]:
    """Ask the broker how many tasks wait in each queue; those that a worker has taken do not.

    Raises:
        Unreachable: It cannot be reached.
    """
    connection, address = _broker(app)
    with connection:
        _ensure(connection, address)
        try:
            return {queue: _waiting(connection, queue) for queue in queues}
        except (OSError, *connection.connection_errors) as error:
            raise Unreachable(f"{address} does not answer ({_words(error)})") from None


def _waiting(connection: Any, queue: str) -> int:
    try:
        with connection.channel() as channel:  # a broker closes it if there is no such queue
            return int(channel.queue_declare(queue, passive=True).message_count)
    except connection.channel_errors:
        return 0


def _broker(app: Celery) -> tuple[Any, str]:
    if fault := redis_urls.fault_of(str(app.conf.broker_url)):
        raise Unreachable(fault)
    try:
        connection: Any = app.connection_for_write()
        address = connection.as_uri().replace("://:**@", "://")  # it masks a password never given
    except (ImportError, LookupError, ValueError) as error:
        raise Unreachable(
            f"{shown(str(app.conf.broker_url))} is no address ({_words(error)})"
        ) from None
    connection.transport_options = {
        **(connection.transport_options or {}),
        **broker_limits(app, ANSWER_TIMEOUT, CONNECT_TIMEOUT),
    }
    return connection, str(address)


def _ensure(connection: Any, address: str) -> None:
    try:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT_TIMEOUT)
    except (OperationalError, OSError, *connection.connection_errors) as error:
        raise Unreachable(f"{address} cannot be reached ({_words(error)})") from None


def store_of(app: Celery) -> Store:
    """Return what the installation keeps in Redis.

    Raises:
        InvalidSettings: No setting names a Redis.
    """
    store = current_store(app)
    if store is None:
        raise InvalidSettings(
            "no Redis to read from, neither as broker nor for results: set redis_url to"
            " redis://host:port/database"
        )
    return store


def has_results(app: Celery) -> bool:
    """Return whether there is to be a result backend."""
    return bool(app.conf.result_backend) and app.conf.result_backend != "disabled"


def connect_results(app: Celery) -> str:
    """Connect to the result backend, if it is a Redis, and return its address without a password.

    Raises:
        Unreachable: It cannot be reached, or there is none.
    """
    if not has_results(app):
        raise Unreachable("is not set, so results are not kept")
    backend: str = app.conf.result_backend
    if fault := redis_urls.fault_of(backend):
        raise Unreachable(fault)
    address, url = shown(backend), redis_urls.client_url(backend)
    try:
        _ = app.backend
    except (ImportError, ImproperlyConfigured, ValueError) as error:
        raise Unreachable(f"{address} is no address ({_words(error)})") from None
    if url is None:
        return address
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=CONNECT_TIMEOUT) as client:
            client.ping()
    except (redis.RedisError, OSError) as error:
        raise Unreachable(f"{address} cannot be reached ({_words(error)})") from None
    return address


def shown(url: str) -> str:
    """Return a URL as it may be shown."""
    return _PASSWORD.sub("**", url.partition(";")[0])


def queues_by_worker(app: Celery) -> Mapping[str, list[str]]:
    """Ask all workers which queues they take tasks from; empty if none answers in time."""
    inspect: Any = app.control.inspect(timeout=REPLY_TIMEOUT)
    answers = inspect.active_queues() or {}
    return {worker: [queue["name"] for queue in queues] for worker, queues in answers.items()}


def queue_of(app: Celery, task: Any) -> str:
    """Return the queue that a task of ours goes to."""
    route = app.amqp.router.lookup_route(task.name)
    queue = (route or {}).get("queue") or task.home_queue
    return str(getattr(queue, "name", queue))


def _words(error: BaseException) -> str:
    lines = str(error.args[0] if isinstance(error, KeyError) else error).splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
