"""The devices of a fan-out as the body of a request, while they are published.

A publisher goes as fast as the workers, so such a request takes its time. It ends before all is
published if the server is to stop, or if the workers have not moved for long; what was published
goes on, and the rest is published when the fan-out is resumed with the same body.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from flask import Request, request

from pushtasks.adapters.http.bodies import CutOff, lines_of, require_length
from pushtasks.adapters.http.problems import Problem, unavailable
from pushtasks.adapters.http.state import Service
from pushtasks.errors import PushError
from pushtasks.fanout import Fanout
from pushtasks.fanout.patience import PASSING
from pushtasks.fanout.sources import Stream

#: Formats by content type; None: the first line tells, as it must when curl is not told better.
FORMATS: Final = {
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "text/csv": "csv",
    "text/plain": "lines",
    "application/octet-stream": None,
    "application/x-www-form-urlencoded": None,
    "": None,
}
#: Seconds without any movement after which to end.
STALL: Final = 300.0

Progress = Callable[[Fanout], None]


class Ended(Exception):
    """A fan-out is to be published no further, for now."""


class Watch:
    """Looks at a fan-out that is being published, and ends that if it must."""

    def __init__(self, service: Service) -> None:
        #: Of the fan-out, once it has begun.
        self.id: str | None = None
        self._stopping = service.stopping
        self._seen = (0, 0)
        self._since = time.monotonic()

    def __call__(self, fanout: Fanout) -> None:
        """See how far it is.

        Raises:
            Ended: It is to go no further.
        """
        self.id = fanout.id
        if self._stopping.is_set():
            raise Ended("the server ends")
        seen = (fanout.chunks_published, fanout.settled)
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        elif time.monotonic() - self._since > STALL:
            raise Ended(f"it has not moved for {STALL:.0f} s: paused, or no worker")


@contextmanager
def publishing(service: Service) -> Iterator[tuple[Stream, Progress]]:
    """Yield the devices in the body of the request, and what is to watch over their publisher.

    Raises:
        Problem: 415; 413; 503 if too many are being published, or this one was ended.
    """
    if request.mimetype not in FORMATS:
        known = ", ".join(filter(None, FORMATS))
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Type {request.mimetype!r}: give the devices as one of {known}",
        )
    require_length(request, service.options.upload_limit)
    if not service.uploads.acquire(blocking=False):
        raise unavailable("enough fan-outs are being published here; try again")
    watch = Watch(service)
    try:
        lines = lines_of(request, service.options.upload_limit)
        yield Stream(lines, FORMATS[request.mimetype]), watch
    except CutOff:
        if watch.id is None:
            raise Problem(HTTPStatus.BAD_REQUEST, "the body breaks off") from None
        raise _to_be_resumed(watch.id, "its upload was cut off") from None
    except (Ended, PushError, *PASSING) as error:
        if watch.id is None:
            raise
        reason = str(error) if isinstance(error, Ended | PushError) else "the broker is away"
        raise _to_be_resumed(watch.id, reason) from None
    finally:
        service.uploads.release()


def _to_be_resumed(id_: str, reason: str) -> Problem:
    """Return the problem of a fan-out that has begun.

    It has no `Retry-After`: whoever just sends the same request again begins another fan-out.
    """
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"fan-out {id_} is not published to the end, since {reason}; send the same body to"
        f" /v1/fanouts/{id_}/resume",
        id=id_,
    )


def has_body(asking: Request) -> bool:
    """Return whether a request has a body, perhaps an empty one."""
    return bool(asking.content_length) or "Transfer-Encoding" in asking.headers
