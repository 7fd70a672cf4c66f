"""The task that delivers news to a consumer: comes back as often as it takes, one at a time."""

import logging
import uuid
from typing import Any, ClassVar, Final

from celery import signals

from pushtasks.config import current_settings
from pushtasks.errors import InvalidPush
from pushtasks.feedback import consumers
from pushtasks.feedback.handover import deliver
from pushtasks.feedback.telling import QUEUE, wake
from pushtasks.sending.arguments import Arguments, bind
from pushtasks.sending.task_base import PushTask
from pushtasks.store import StoreUnavailable, current_store

logger = logging.getLogger(__name__)

#: Seconds until the next try where Redis cannot be reached.
PAUSE: Final = 10.0


class HandoverTask(PushTask):
    """What `deliver_feedback` is made of."""

    abstract = True
    ignore_result = True
    home_queue: ClassVar[str] = QUEUE

    def checked(self, *args: Any, **kwargs: Any) -> Arguments:
        """Return the arguments by name, checked.

        Raises:
            InvalidPush: There is no such consumer.
        """
        arguments = bind(self.name, self.run, args, kwargs)
        if arguments["consumer"] not in consumers.ALL:
            raise InvalidPush(
                f"consumer {arguments['consumer']!r} is unknown; it must be one of"
                f" {', '.join(consumers.ALL)}"
            )
        return arguments

    def deliver(self, consumer: str) -> None:
        """Deliver to a consumer, and come back if there is to be more."""
        self.checked(consumer)
        store = current_store(self.app)
        if store is None:
            return
        if consumer not in consumers.wanted(current_settings(self.app).feedback):
            logger.warning(
                "News for %s came to a worker that knows nobody who wants them; give all workers of"
                " queue %s the same settings, and the modules that connect to our signals",
                consumer,
                QUEUE,
            )
            return
        try:
            pause = deliver(self.app, store, consumer, self.request.id or str(uuid.uuid4()))
        except StoreUnavailable as error:
            logger.warning("%s; news for %s wait", error, consumer)
            pause = PAUSE
        if pause is not None and not self.request.is_eager and not self.request.called_directly:
            raise self.retry(countdown=min(pause, self._longest_pause()))


def deliver_what_was_left(sender: Any, **_: object) -> None:
    """Have news delivered that came when no worker was there, or whose delivery was cut short."""
    celery_app = sender.app
    try:
        store = current_store(celery_app)
        if store is None or not store.entries(count=1):
            return
        for consumer in consumers.wanted(current_settings(celery_app).feedback):
            wake(celery_app, consumer)
    except StoreUnavailable as error:
        logger.warning("%s; what waits in the feedback stream is delivered with the next", error)


signals.worker_ready.connect(deliver_what_was_left)
