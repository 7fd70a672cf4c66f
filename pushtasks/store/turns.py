"""Who delivers news to a consumer, and when: one at a time, and less often while it fails.

Five keys for each consumer. The wake-up exists while a delivery is on its way, so that there is one
and not one for each of the news; the lock while one is at work; the pause while the consumer is to
be left alone, since it failed; the count of failures makes the next pause longer; and the place is
where it failed last, so that the next delivery begins behind it.
"""

from typing import Final

from pushtasks.store import keys, scripts
from pushtasks.store.connection import Connection

#: Seconds after which a delivery counts as dead that has not renewed its lock.
LOCK_AGE: Final = 120
#: Seconds before a consumer that failed is called again, doubled with each further failure.
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 900.0
#: Before the first entry of a stream.
BEGINNING: Final = "0-0"
#: Seconds after which failures are forgotten.
FAILURES_AGE: Final = 24 * 3600


class Turn:
    """The deliveries to one consumer.

    All methods raise `StoreUnavailable` if Redis cannot be reached.
    """

    def __init__(self, connection: Connection, consumer: str) -> None:
        self._connection = connection
        self._wake = keys.wake(consumer)
        self._lock = keys.lock(f"deliver:{consumer}")
        self._pause = keys.pause(consumer)
        self._failures = keys.failures(consumer)
        self._place = keys.place(consumer)

    def begin(self) -> float:
        """Note that a delivery has come; return the seconds for which it is too early."""
        with self._connection.watched() as client, client.pipeline() as pipeline:
            _, left = pipeline.delete(self._wake).pttl(self._pause).execute()
            return max(0.0, float(left) / 1000)

    def claim(self, owner: str) -> bool:
        """Take the lock, or hold it longer; False if somebody else is at work."""
        arguments = [owner, LOCK_AGE * 1000]
        return bool(self._connection.run(scripts.CLAIM, [([self._lock], arguments)])[0])

    def release(self, owner: str) -> None:
        """Give the lock back."""
        self._connection.run(scripts.RELEASE, [([self._lock], [owner])])

    def failures(self) -> int:
        """Return how many deliveries in a row have failed."""
        with self._connection.watched() as client:
            return int(client.get(self._failures) or 0)

    def place(self) -> str:
        """Return the id of the entry behind which to begin; `BEGINNING` if no place is noted."""
        with self._connection.watched() as client:
            return str(client.get(self._place) or BEGINNING)

    def fail(self, failures: int, place: str) -> float:
        """Note a failure beside those before it; return the seconds of the pause that it makes.

        Args:
            failures: Those before it.
            place: The id of the entry behind which the next delivery is to begin.
        """
        pause = min(FIRST_PAUSE * 2.0 ** min(failures, 30), LONGEST_PAUSE)
        with self._connection.watched() as client, client.pipeline() as pipeline:
            pipeline.set(self._failures, failures + 1, ex=FAILURES_AGE)
            pipeline.set(self._place, place, ex=FAILURES_AGE)
            pipeline.set(self._pause, "1", px=int(pause * 1000)).execute()
        return pause

    def succeed(self) -> None:
        """Forget failures."""
        with self._connection.watched() as client:
            client.delete(self._failures, self._place)

    def schedule(self, seconds: float = 0.0) -> bool:
        """Announce a delivery in so many seconds; False if another one is on its way already."""
        with self._connection.watched() as client:
            age = int(seconds) + keys.WAKE_AGE
            return bool(client.set(self._wake, "1", nx=True, ex=age))
