"""The loop of a relay: take a batch, publish it, let go of it.

Whatever is away, the list's Redis or the broker, is waited for, and said once.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeVar

from pushtasks.adapters.relay.dead_letters import Broken, write_letter
from pushtasks.adapters.relay.entries import Reader, Ready
from pushtasks.adapters.relay.publishing import Publisher
from pushtasks.adapters.relay.taking import EntryList
from pushtasks.errors import InvalidPush
from pushtasks.fanout.patience import PASSING
from pushtasks.net.deadline import Deadline
from pushtasks.store import StoreUnavailable

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

#: Seconds until something that is away is tried again: the first time, and at the most.
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 5.0
#: Seconds between two looks at whether workers have made room.
LOOK: Final = 0.25


class Stopped(Exception):
    """The relay was asked to stop while it waited for something."""


@dataclass(slots=True)
class Totals:
    """What a relay has done."""

    #: Entries, and tasks made of them, that went to the broker.
    handed_over: int = 0
    tasks: int = 0
    #: Entries that went to the dead-letter list.
    dead: int = 0


class Relay:
    """Moves entries from a list to workers until it is asked to stop."""

    def __init__(
        self,
        entries: EntryList,
        publisher: Publisher,
        reader: Reader,
        *,
        batch: int,
        lease: float,
        stopping: threading.Event,
    ) -> None:
        """Take what is to be done.

        Args:
            entries: From where.
            publisher: To where.
            reader: What an entry means.
            batch: Entries of a task at the most, up to 1000.
            lease: Seconds, as of `entries`.
            stopping: Is set when the relay is to end.
        """
        self._entries, self._publisher, self._reader = entries, publisher, reader
        self._batch, self._stopping = batch, stopping
        #: Several times in a lease, what silent relays held is looked for.
        self._pause_of_looks = lease / 3
        self._next_look = Deadline(0)
        self.totals = Totals()

    def run(self) -> Totals:
        """Work until asked to stop; what is in hand then goes back to the list.

        Raises:
            InvalidSettings: There is no list under the key.
        """
        try:
            self._patiently(self._entries.require_list)
            while not self._stopping.is_set():
                self._turn()
        except Stopped:
            logger.info("Stopped while it waited")
        with suppress(StoreUnavailable):  # another relay will take it over
            self._entries.leave()
        return self.totals

    def _turn(self) -> None:
        self._look_after_others()
        self._wait_for_room()
        texts = self._patiently(partial(self._entries.take, self._batch))
        if texts:
            self._hand_over(texts)
        else:
            self._patiently(self._entries.wait)

    def _hand_over(self, texts: Sequence[str]) -> None:
        ready, broken = self._sorted(texts)
        if ready:
            task_id = str(uuid.uuid4())
            self._patiently(partial(self._publisher.publish, ready, task_id))
        now = datetime.now(UTC)
        letters = [write_letter(one, now) for one in broken]
        settled = self._patiently(partial(self._entries.settle, len(texts), letters))
        self.totals.handed_over += len(ready)
        self.totals.tasks += bool(ready)
        self.totals.dead += len(broken)
        if broken:
            self._tell_broken(broken, settled.dropped)
        if not settled.was_held:
            logger.warning(
                "This relay was silent for so long that another may have taken over its batch:"
                " %d entries may be sent twice",
                len(ready),
            )

    def _sorted(self, texts: Sequence[str]) -> tuple[list[Ready], list[Broken]]:
        now = datetime.now(UTC).replace(microsecond=0)
        ready, broken = [], []
        for text in texts:
            try:
                ready.append(self._reader.read(text, now))
            except InvalidPush as error:
                broken.append(Broken(text, str(error)))
        return ready, broken

    def _look_after_others(self) -> None:
        if self._next_look.left:
            return
        self._next_look = Deadline(self._pause_of_looks)
        count = self._patiently(self._entries.adopt)
        if count:
            logger.warning("Took over %d entries of a relay that has gone silent", count)

    def _wait_for_room(self) -> None:
        """Return when the workers have not too much to do already."""
        has_waited = False
        while not self._patiently(self._publisher.has_room):
            if not has_waited:
                logger.warning(
                    "Queue %s is full: waiting for workers to take tasks", self._publisher.queue
                )
            has_waited = True
            self._sleep(LOOK)
            self._patiently(self._entries.live)
        if has_waited:
            logger.info("Queue %s has room again", self._publisher.queue)

    def _patiently(self, call: Callable[[], Answer]) -> Answer:
        """Return what a call returns that may be made twice, once it gets through.

        Raises:
            Stopped: The relay is to end, and it did not get through.
        """
        pause, said = FIRST_PAUSE, False
        while True:
            try:
                answer = call()
            except PASSING as error:
                if not said:
                    logger.warning("%s (waiting)", _words(error))
                said = True
            else:
                if said:
                    logger.info("It goes on")
                return answer
            self._sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            with suppress(StoreUnavailable):  # it may be the broker that is away
                self._entries.live()

    def _sleep(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise Stopped

    def _tell_broken(self, broken: Sequence[Broken], dropped: int) -> None:
        logger.warning(
            "%d entries cannot be sent and are in %r now; the first: %s",
            len(broken),
            self._entries.dead_key,
            broken[0].reason,
        )
        if dropped:
            logger.error("%d of the oldest dead letters had to make room", dropped)


def _words(error: BaseException) -> str:
    if isinstance(error, StoreUnavailable):
        return str(error)
    return f"The broker cannot be reached: {error}"
