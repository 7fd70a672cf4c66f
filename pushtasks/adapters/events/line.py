"""The connection to the broker on which a process sends its events."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from celery import Celery

from pushtasks.adapters.events.heap import LIMIT, REASONS_LIMIT, PushEvent, fields_of
from pushtasks.adapters.limits import broker_limits

#: Seconds that any call to the broker may take.
TIMEOUT: Final = 5.0
_GROUP: Final = "push"


class Line:
    """Made on first use; its own, since a worker's belongs to its main process and may block it."""

    def __init__(self, celery_app: Celery, hostname: str) -> None:
        self._celery_app: Any = celery_app
        self._hostname = hostname
        self._connection: Any = None
        self._dispatcher: Any = None

    def send(self, events: Iterable[tuple[PushEvent, int]]) -> None:
        """Send events in one message.

        Raises:
            Exception: The broker has not taken it; kombu and its transports have many words for it.
        """
        if self._dispatcher is None:
            self._open()
        for event, count in events:
            self._dispatcher.send(event.type, **fields_of(event, count))
        self._dispatcher.flush(errors=False)

    def close(self) -> None:
        """Close it; to send again opens another."""
        dispatcher, self._dispatcher = self._dispatcher, None
        connection, self._connection = self._connection, None
        if dispatcher:
            dispatcher.close()
        if connection:
            with suppress(Exception):  # it may be broken
                connection.release()

    def _open(self) -> None:
        app = self._celery_app
        self._connection = app.connection_for_write(
            connect_timeout=TIMEOUT, transport_options=broker_limits(app, TIMEOUT)
        )
        # Twice at the most. What would connect by itself later would try for ever.
        self._connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=TIMEOUT)
        self._dispatcher = app.events.Dispatcher(
            self._connection,
            hostname=self._hostname,
            buffer_while_offline=False,
            buffer_group={_GROUP},
            buffer_limit=LIMIT + REASONS_LIMIT,
        )
