"""How many requests each caller may make: a bucket of tokens for each, in bounded memory.

A bucket is kept as the instant at which it will be full again (the "generic cell rate algorithm").
"""

import threading
import time
from collections import OrderedDict
from typing import Final

#: Callers that are remembered; one who was away the longest is forgotten first.
CALLERS: Final = 10_000


class Limiter:
    """Limits the callers of one process, each for himself; for several threads."""

    def __init__(self, rate: float) -> None:
        """Take the limit.

        Args:
            rate: Requests a second, and as many at once; 0: no limit.
        """
        self._interval = 1 / rate if rate else 0.0
        self._slack = max(1.0, rate) * self._interval
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def wait_for(self, caller: str) -> float:
        """Count a request; return 0 if it may pass, else the seconds until one may."""
        if not self._interval:
            return 0.0
        now = time.monotonic()
        with self._lock:
            full_at = max(now, self._full_at.get(caller, now)) + self._interval
            wait = full_at - now - self._slack
            if wait > 1e-9:  # noqa: PLR2004, what sums of floats leave over
                return wait
            self._full_at[caller] = full_at
            self._full_at.move_to_end(caller)
            if len(self._full_at) > CALLERS:
                self._full_at.popitem(last=False)
        return 0.0
