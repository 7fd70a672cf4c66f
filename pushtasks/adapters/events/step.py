"""The part of a worker that knows whether anybody watches."""

from typing import Any, Final

from celery import bootsteps, signals
from celery.concurrency.prefork import TaskPool as PreforkPool

from pushtasks import observers
from pushtasks.adapters.events.sender import Sender
from pushtasks.adapters.events.switch import Switch

#: Seconds after which the worker's children know.
INTERVAL: Final = 1.0


class PushEvents(bootsteps.StartStopStep):
    """Switches events of pushes with Celery's events of tasks, of which nobody tells."""

    requires = ("celery.worker.consumer.events:Events",)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        super().__init__(consumer, **kwargs)
        self._worker = consumer.controller
        self._switch = Switch()
        self._sender = Sender(consumer.app, consumer.hostname, self._switch)
        self._has_children = isinstance(consumer.pool, PreforkPool)
        if self._has_children:  # they inherit it, and then nobody can tell them but the switch
            observers.register(self._sender)
        self._timer: Any = None
        signals.worker_process_shutdown.connect(self._on_process_end)
        signals.worker_shutdown.connect(self._on_worker_end)

    def start(self, consumer: Any) -> None:
        """Begin to look; called again after each loss of the broker."""
        self._look(consumer)
        self._timer = consumer.timer.call_repeatedly(INTERVAL, self._look, (consumer,))

    def stop(self, consumer: Any) -> None:  # noqa: ARG002, Celery gives it
        """End to look."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, consumer: Any) -> None:
        is_on = _are_wanted(consumer.event_dispatcher)
        self._switch.set(is_on=is_on)
        if self._has_children:
            return
        change = observers.register if is_on else observers.unregister
        change(self._sender)

    def _on_process_end(self, **_: object) -> None:
        self._sender.close()

    def _on_worker_end(self, sender: Any, **_: object) -> None:
        if sender is self._worker:
            observers.unregister(self._sender)
            self._sender.close()


def _are_wanted(dispatcher: Any) -> bool:
    """Return whether a worker sends events of tasks: to no groups at all means to all."""
    if dispatcher is None or not dispatcher.enabled:
        return False
    return not dispatcher.groups or "task" in dispatcher.groups
