"""Chunks whose messages the broker has lost are published again.

A broker can lose one: kombu takes a message out of Redis before it notes that it did, so a worker
that is killed in between takes it along; and a publisher may be killed between noting a chunk and
publishing it. What a chunk is about is kept with its fan-out until it is done, and each try of it
gives signs of life, so whoever looks can tell which are missing. To publish one again that was not
lost does no harm: the second message waits for the first, and finds the chunk done.
"""

import logging
import time
from typing import Any, Final

from celery import Celery

from pushtasks.sending.arguments import Arguments, bind
from pushtasks.sending.task_base import PushTask
from pushtasks.store import StoreUnavailable, current_store
from pushtasks.store.fanouts import Fanouts

logger = logging.getLogger(__name__)

TASK: Final = "pushtasks.send_chunk"
#: Seconds after which a chunk is missed that a later one has overtaken.
OVERDUE: Final = 20.0
#: Seconds of silence after which chunks are missed that wait for a worker, doubled each time up to
#: the longest: there may just be no workers.
SILENCE: Final = 60.0
LONGEST_SILENCE: Final = 3600.0
#: Seconds between two looks of one who waits.
LOOK: Final = 5.0


def mend(celery_app: Celery, fanouts: Fanouts, id_: str) -> int:
    """Publish again the chunks of a fan-out that the broker has lost; return how many.

    Raises:
        StoreUnavailable: Redis cannot be reached.
        OperationalError: The broker cannot be; those that were lost are found again later.
    """
    task: Any = celery_app.tasks[TASK]
    lost = fanouts.lost(id_, overdue=OVERDUE, silence=SILENCE, longest=LONGEST_SILENCE)
    for chunk in lost:
        task.apply_async(kwargs={"fanout": id_, "chunk": chunk})
    if lost:
        logger.warning(
            "Fan-out %s: nothing was heard of %d chunks: published again", id_, len(lost)
        )
    return len(lost)


class Mender:
    """Mends one fan-out for somebody who looks at it again and again."""

    def __init__(self, celery_app: Celery, fanouts: Fanouts, id_: str) -> None:
        self._what = celery_app, fanouts, id_
        self._looked = time.monotonic()

    def look(self) -> None:
        """Mend it if it is time to; whatever fails is tried again next time."""
        if time.monotonic() - self._looked < LOOK:
            return
        self._looked = time.monotonic()
        try:
            mend(*self._what)
        except Exception as error:  # noqa: BLE001, it is no business of the one who looks
            logger.debug("Fan-out %s could not be mended: %s", self._what[2], error)


class MendTask(PushTask):
    """What `mend_fanouts` is made of."""

    abstract = True
    ignore_result = True

    def checked(self, *args: Any, **kwargs: Any) -> Arguments:
        """Return the arguments by name: there are none."""
        return bind(self.name, self.run, args, kwargs)

    def mend(self) -> None:
        """Mend all fan-outs that are under way."""
        store = current_store(self.app)
        if store is None:
            return
        try:
            for id_ in store.fanouts.under_way():
                mend(self.app, store.fanouts, id_)
        except StoreUnavailable as error:
            logger.warning("Fan-outs could not be looked after: %s", error)
