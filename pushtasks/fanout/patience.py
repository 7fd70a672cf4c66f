"""Carrying on while Redis or the broker is away for a moment, as it is when it is restarted."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from kombu.exceptions import OperationalError

from pushtasks.net.deadline import Deadline
from pushtasks.store import StoreUnavailable

Answer = TypeVar("Answer")

#: Seconds for which something is tried again, and between two tries.
LIMIT: Final = 60.0
PAUSE: Final = 0.5
#: What passes: Redis or the broker is restarted, or slow.
PASSING: Final = (StoreUnavailable, OperationalError, ConnectionError, TimeoutError)


def keep_trying(call: Callable[[], Answer], limit: float = LIMIT) -> Answer:
    """Return what a call returns that may be made twice, once it gets through.

    Raises:
        StoreUnavailable: Redis stays away; or whatever the broker's client raises of that kind.
    """
    deadline = Deadline(limit)
    while True:
        try:
            return call()
        except PASSING:
            if not deadline.left:
                raise
        time.sleep(PAUSE)
