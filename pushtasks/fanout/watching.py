"""Watching a fan-out, and steering it, from any process that knows its Redis."""

import time
from collections.abc import Iterator
from typing import Any, Final

from celery import Celery

from pushtasks.chunks.mending import Mender
from pushtasks.errors import InvalidPush, InvalidSettings, PushError
from pushtasks.fanout.patience import keep_trying
from pushtasks.fanout.publisher import Report
from pushtasks.host import current_app
from pushtasks.store import current_store
from pushtasks.store.fanout_state import Fanout, State
from pushtasks.store.fanouts import Fanouts

#: Seconds between two looks.
LOOK: Final = 0.2
#: Looks in a row without a publisher after which it counts as gone.
_ABSENCES: Final = 5
#: Failures that are read at a time.
_PAGE: Final = 1000


def status(id_: str, *, celery_app: Celery | None = None) -> Fanout:
    """Return a fan-out as it stands.

    Raises:
        InvalidPush: There is no such fan-out, or no longer: one is forgotten after a week.
        StoreUnavailable: Redis cannot be reached.
    """
    return existing(fanouts_of(celery_app or current_app()), id_)


def recent(count: int = 20, *, celery_app: Celery | None = None) -> list[Fanout]:
    """Return fan-outs, the newest first.

    Raises:
        StoreUnavailable: Redis cannot be reached.
    """
    return fanouts_of(celery_app or current_app()).newest(count)


def pause(id_: str, *, celery_app: Celery | None = None) -> Fanout:
    """Hold a fan-out: within one chunk's time nothing more is published or sent; `resume` goes on.

    Raises:
        InvalidPush: There is no such fan-out, or it is over.
        StoreUnavailable: Redis cannot be reached.
    """
    return _move(id_, State.PAUSED, celery_app)


def cancel(id_: str, *, celery_app: Celery | None = None) -> Fanout:
    """End a fan-out for good: what has not been sent within one chunk's time is not sent.

    Raises:
        InvalidPush: There is no such fan-out, or it is finished.
        StoreUnavailable: Redis cannot be reached.
    """
    return _move(id_, State.CANCELLED, celery_app)


def failures(id_: str, *, celery_app: Celery | None = None) -> Iterator[dict[str, Any]]:
    """Return what went wrong or changed with devices, as dicts of one device with its `line`.

    The newest 100,000 are kept; `Fanout.failures` has counted all.

    Raises:
        InvalidPush: There is no such fan-out.
        StoreUnavailable: Redis cannot be reached.
    """
    fanouts = fanouts_of(celery_app or current_app())
    existing(fanouts, id_)
    return _failures(fanouts, id_)


def wait(
    id_: str,
    timeout: float | None = None,
    *,
    celery_app: Celery | None = None,
    progress: Report | None = None,
) -> Fanout:
    """Wait until a fan-out is over, and return it; chunks that the broker lost are sent again.

    Args:
        id_: Of the fan-out.
        timeout: Seconds; None: as long as it takes.
        celery_app: Whose Redis to look into; left out, that of the current one.
        progress: Called with the fan-out a few times a second.

    Raises:
        TimeoutError: It takes longer.
        InvalidPush: There is no such fan-out.
        PushError: Its publisher has stopped before the end, so that nothing is to be waited for;
            or Redis cannot be reached.
    """
    celery_app = celery_app or current_app()
    fanouts = fanouts_of(celery_app)
    mender = Mender(celery_app, fanouts, id_)
    deadline = None if timeout is None else time.monotonic() + timeout
    absences = 0
    while True:
        fanout = keep_trying(lambda: existing(fanouts, id_))
        if progress is not None:
            progress(fanout)
        if fanout.is_over:
            return fanout
        mender.look()
        absences = 0 if fanout.source_ended or fanout.has_publisher else absences + 1
        if absences >= _ABSENCES:
            raise PushError(
                f"fan-out {id_}: its publisher has stopped before the end; go on with"
                f"  pushtasks fanout resume {id_}"
            )
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError(f"fan-out {id_} is not over within {timeout:g} s")
        time.sleep(LOOK)


def fanouts_of(celery_app: Celery) -> Fanouts:
    """Return where a Celery app's fan-outs are kept.

    Raises:
        InvalidSettings: No setting names a Redis.
    """
    store = current_store(celery_app)
    if store is None:
        raise InvalidSettings(
            "no Redis to keep fan-outs in, neither as broker nor for results: set redis_url to"
            " redis://host:port/database"
        )
    return store.fanouts


def existing(fanouts: Fanouts, id_: str) -> Fanout:
    """Return a fan-out.

    Raises:
        InvalidPush: There is none of that id.
    """
    fanouts.standing(id_)
    fanout = fanouts.find(id_)
    if fanout is None:
        raise InvalidPush(
            f"fan-out {id_!r} is not known (one is forgotten after a week): see"
            "  pushtasks fanout list"
        )
    return fanout


def _move(id_: str, state: State, celery_app: Celery | None) -> Fanout:
    fanouts = fanouts_of(celery_app or current_app())
    fanout = existing(fanouts, id_)
    if not fanouts.set_state(id_, state) and fanout.state is not state:
        raise InvalidPush(f"fan-out {id_} is {fanout.state}: it cannot be {state} any more")
    return existing(fanouts, id_)


def _failures(fanouts: Fanouts, id_: str) -> Iterator[dict[str, Any]]:
    page = fanouts.failures(id_, None, _PAGE)
    while page:
        yield from (failure for _, failure in page)
        page = fanouts.failures(id_, page[-1][0], _PAGE)
