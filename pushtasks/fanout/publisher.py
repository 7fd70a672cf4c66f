"""Publishes a fan-out: reads its source to the end, never far ahead of the workers.

The chunks that are not done are bounded, by number and by bytes, so that neither Redis nor this
process fills up, however many devices there are. A chunk's number, what it is about, and where in
the source it ends are noted before its message goes to the broker: one whose publisher is killed in
between is published when the fan-out is resumed, or mended (`chunks.mending`).
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from celery import Celery

import pushtasks.tasks  # noqa: F401, every Celery app gets them
from pushtasks.chunks.mending import TASK, Mender
from pushtasks.errors import PushError
from pushtasks.fanout.chunks import Chunk, Fault, cut
from pushtasks.fanout.devices import device_check
from pushtasks.fanout.holding import Holding
from pushtasks.fanout.patience import keep_trying
from pushtasks.fanout.records import Position
from pushtasks.fanout.sources import Source
from pushtasks.results import VERSION, Action
from pushtasks.store import StoreUnavailable
from pushtasks.store.chunks import Work
from pushtasks.store.fanout_state import MIXED, Fanout, Spec, Standing, State
from pushtasks.store.fanouts import Fanouts

#: Chunks, and bytes of them, that are in the broker or with workers at the most.
WINDOW: Final = 100
WINDOW_BYTES: Final = 8 * 1024 * 1024
#: Chunks of any size that there may be, so that workers need not wait.
LEAST_WINDOW: Final = 4
#: Seconds between two looks at how far the workers are, and while the fan-out is paused.
LOOK: Final = 0.05
LOOK_PAUSED: Final = 0.25
#: Seconds between two reports.
REPORT: Final = 0.2

Report = Callable[[Fanout], None]


class Publisher:
    """Publishes one fan-out, from a position in its source to the end."""

    def __init__(
        self,
        celery_app: Celery,
        fanouts: Fanouts,
        fanout: Fanout,
        *,
        window: int | None = None,
        report: Report | None = None,
    ) -> None:
        """Take what is to be published.

        Args:
            celery_app: Whose broker the chunks go to.
            fanouts: Where the fan-out is kept.
            fanout: As it stands.
            window: Chunks that are outstanding at the most; fewer if they are large.
            report: Called with the fan-out every now and then.
        """
        self._task: Any = celery_app.tasks[TASK]
        self._fanouts, self._id, self._spec = fanouts, fanout.id, fanout.spec
        self._mender = Mender(celery_app, fanouts, fanout.id)
        self._next = fanout.chunks_published
        self._window = window or WINDOW
        self._largest = 1
        self._report = report
        self._reported = 0.0
        self._asked = 0.0

    def publish(self, source: Source, start: Position, holding: Holding) -> None:
        """Publish what a source holds after a position; return early if the fan-out is cancelled.

        Args:
            source: The devices.
            start: Where the chunks published so far have ended.
            holding: That this publisher is the only one.

        Raises:
            PushError: The fan-out is gone, or somebody else publishes it, or Redis or the broker
                stayed away. It can be resumed unless it is gone.
        """
        self._tell()
        if self._next:  # its publisher may have been killed before it had sent the message
            self._send(self._next - 1)
        records = source.records(start, is_mixed=self._spec.provider == MIXED)
        standing = self._standing(partial(self._fanouts.standing, self._id))
        position, error = start, None
        check, limit = device_check(self._spec), self._spec.chunk
        for chunk in cut(records, check, limit, start, (StoreUnavailable,)):
            position, error = chunk.position, chunk.error
            standing = self._wait_for_room(standing, holding)
            if standing.state is State.CANCELLED:
                return
            standing = self._publish(chunk) if chunk.entries or chunk.invalid else standing
        self._standing(
            partial(self._fanouts.source_ended, self._id, error, position=dict(position))
        )

    def _send(self, number: int) -> None:
        arguments = {"fanout": self._id, "chunk": number}
        keep_trying(partial(self._task.apply_async, kwargs=arguments))

    def _publish(self, chunk: Chunk) -> Standing:
        work = Work(chunk.entries, chunk.shown_lines).to_json() if chunk.entries else ""
        standing = self._standing(
            partial(
                self._fanouts.published,
                self._id,
                self._next,
                len(chunk.entries),
                dict(chunk.position),
                [_failure(self._spec, fault) for fault in chunk.invalid],
                work=work,
                key=self._spec.key,
            )
        )
        if work:
            self._send(self._next)
        self._next += 1
        self._largest = max(self._largest, chunk.size)
        self._tell()
        return standing

    def _wait_for_room(self, standing: Standing, holding: Holding) -> Standing:
        """Return once another chunk may be published, or none ever."""
        if time.monotonic() - self._asked > LOOK_PAUSED:  # the source took its time
            standing = self._standing(partial(self._fanouts.standing, self._id))
        while True:
            holding.require()
            self._mender.look()
            if standing.state is State.CANCELLED:
                return standing
            if standing.state is State.RUNNING and standing.outstanding < self._room():
                return standing
            time.sleep(LOOK_PAUSED if standing.state is State.PAUSED else LOOK)
            standing = self._standing(partial(self._fanouts.standing, self._id))
            self._tell()

    def _room(self) -> int:
        return min(self._window, max(LEAST_WINDOW, WINDOW_BYTES // self._largest))

    def _standing(self, ask: Callable[[], Standing | None]) -> Standing:
        standing = keep_trying(ask)
        if standing is None:
            raise PushError(f"fan-out {self._id} is gone from Redis while it was published")
        self._asked = time.monotonic()
        return standing

    def _tell(self) -> None:
        now = time.monotonic()
        if self._report is None or now - self._reported < REPORT:
            return
        self._reported = now
        fanout = keep_trying(partial(self._fanouts.find, self._id))
        if fanout is not None:
            self._report(fanout)


def _failure(spec: Spec, fault: Fault) -> dict[str, Any]:
    """Return a device that cannot be sent to, in the form of results."""
    return {
        "version": VERSION,
        "provider": None if spec.provider == MIXED else spec.provider,
        "app": spec.app,
        "token": fault.token,
        "outcome": "invalid",
        "status": None,
        "reason": fault.reason,
        "action": Action.FIX_REQUEST.value,
        "message_id": None,
        "canonical_id": None,
        "dead_since": None,
        "line": fault.line,
    }
