"""Brings batches to the broker, as tasks, and never more of them than wait there for a worker."""

from collections.abc import Sequence
from typing import Any, Final

from celery import Celery
from kombu.exceptions import OperationalError

import pushtasks.tasks  # noqa: F401, every Celery app gets them
from pushtasks.adapters.limits import broker_limits
from pushtasks.adapters.relay.entries import Ready, arguments_of

TASK: Final = "pushtasks.send_apns_many"
#: Seconds for the broker to answer, and to let us in.
TIMEOUT: Final = 5.0
#: A broken connection is replaced at once; whoever waits for the broker does so elsewhere.
RETRY: Final = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}


class Publisher:
    """Publishes for one app at Apple; not for several threads."""

    def __init__(self, celery_app: Celery, app: str, window: int) -> None:
        """Take the app.

        Args:
            celery_app: Whose broker the tasks go to. From now on, nothing that it does in this
                process waits for its broker without end.
            app: The app in the workers' settings.
            window: Tasks that may wait in the broker for a worker.
        """
        options = celery_app.conf.broker_transport_options or {}
        limits = broker_limits(celery_app, TIMEOUT)
        celery_app.conf.broker_transport_options = {**limits, **options}
        self._celery_app = celery_app
        self._task: Any = celery_app.tasks[TASK]
        self._app = app
        self._window = window
        #: Tasks that may be published before another look at how many wait.
        self._room = 0

    @property
    def queue(self) -> str:
        """Where its tasks go."""
        route = self._celery_app.amqp.router.lookup_route(TASK) or {}
        queue = route.get("queue", self._task.home_queue)
        return str(getattr(queue, "name", queue))

    def has_room(self) -> bool:
        """Return whether another batch may be published.

        Raises:
            OperationalError: The broker cannot be reached.
        """
        if self._room <= 0:
            self._room = self._window - self._waiting()
        return self._room > 0

    def publish(self, entries: Sequence[Ready], task_id: str) -> None:
        """Publish a batch as one task.

        Args:
            entries: 1 to 1000.
            task_id: The same one when the same batch is published again.

        Raises:
            OperationalError: The broker cannot be reached; it may have the task all the same.
        """
        arguments = {**arguments_of(entries), "app": self._app}
        self._task.apply_async(kwargs=arguments, task_id=task_id, retry_policy=RETRY)
        self._room -= 1

    def _waiting(self) -> int:
        """Ask over a connection of its own: one that has failed once is of no use any more."""
        connection: Any = self._celery_app.connection_for_write()
        with connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=TIMEOUT)
            try:
                with connection.channel() as channel:
                    return int(channel.queue_declare(self.queue, passive=True).message_count)
            except connection.channel_errors:  # there is no such queue yet
                return 0
            except connection.connection_errors as error:
                raise OperationalError(str(error)) from error
