"""Serves what the processes of a worker count; it is begun before they are forked."""

import atexit
import logging
import os
from importlib.util import find_spec
from typing import Any

from celery import Celery, signals

from pushtasks import observers
from pushtasks.adapters.prometheus.shared import SharedFigures
from pushtasks.config import current_settings

logger = logging.getLogger(__name__)


class Exporter:
    """The metrics of one worker, served where its settings say."""

    def __init__(self, celery_app: Celery, *, forks: bool) -> None:
        """Begin to count and to serve.

        Args:
            celery_app: The worker's, whose settings name the address.
            forks: Whether its tasks run in processes that are forked from this one.

        Raises:
            OSError: The address is taken.
        """
        self._pid = os.getpid()
        self._shared = SharedFigures.begin() if forks else None
        # Not before: metrics are made for files, or they are not.
        from pushtasks.adapters.prometheus.serving import begin  # noqa: PLC0415

        try:
            self._listener, self._server = begin(celery_app, self._shared)
        except OSError:
            self._remove_files()
            raise
        observers.register(self._listener)
        #: Where it serves.
        self.url = self._server.url

    def close(self) -> None:
        """Count and serve no more; in a forked process nothing happens."""
        if self._pid != os.getpid():
            return
        observers.unregister(self._listener)
        self._listener.close()
        self._server.close()
        self._remove_files()

    def leave_to_parent(self) -> None:
        """Serve nothing in a forked process, which goes on counting."""
        if self._pid != os.getpid():  # of pools that do not fork, some say that they do
            self._server.forget()

    def _remove_files(self) -> None:
        if self._shared:
            self._shared.remove()


def start(celery_app: Celery, *, forks: bool) -> Exporter:
    """Serve the metrics of a worker for as long as it runs.

    Args:
        celery_app: Its app, whose setting `metrics.listen` is set.
        forks: Whether its tasks run in forked processes.

    Raises:
        SystemExit: It cannot be done; the message says why, and the way out.
    """
    listen = current_settings(celery_app).metrics.listen
    if find_spec("prometheus_client") is None:
        raise SystemExit(
            f"pushtasks: metrics.listen is {listen!r}, but prometheus-client is not installed:"
            " install pushtasks[prometheus], or unset it"
        )
    try:
        exporter = Exporter(celery_app, forks=forks)
    except OSError as error:
        raise SystemExit(
            f"pushtasks: metrics.listen {listen!r} cannot be listened on ({error.strerror}): choose"
            " another port, or for several workers on a host a range such as 127.0.0.1:9540-9549"
        ) from None
    _follow(exporter)
    return exporter


def _follow(exporter: Exporter) -> None:
    """Go the worker's ways."""

    def ready(**_: Any) -> None:
        logger.info("Metrics are at %s", exporter.url)

    def forked(**_: Any) -> None:
        exporter.leave_to_parent()

    def ended(**_: Any) -> None:
        exporter.close()

    signals.worker_ready.connect(ready, weak=False)
    signals.worker_process_init.connect(forked, weak=False)
    signals.worker_shutdown.connect(ended, weak=False)
    atexit.register(exporter.close)
