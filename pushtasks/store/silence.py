"""A Redis that failed is left alone for a while, so that it holds no push up again and again."""

import logging
import threading
import time
from typing import Final

from pushtasks.store.connection import StoreUnavailable

logger = logging.getLogger(__name__)

#: Seconds for which a Redis that failed is not asked again.
PAUSE: Final = 3.0
#: Seconds between two lines of log about it.
LOG_PAUSE: Final = 10.0


class Silence:
    """Begins with a failure, ends with a success. For several threads."""

    def __init__(self) -> None:
        self._until = 0.0
        self._logged_until = 0.0
        self._lock = threading.Lock()

    def is_on(self) -> bool:
        """Return whether to leave Redis alone; after each pause one thread may try it."""
        if not self._until:
            return False
        with self._lock:
            now = time.monotonic()
            if now < self._until:
                return True
            self._until = now + PAUSE
            return False

    def begin(self, error: StoreUnavailable) -> None:
        """Note that Redis has failed."""
        with self._lock:
            now = time.monotonic()
            self._until = now + PAUSE
            if now < self._logged_until:
                return
            self._logged_until = now + LOG_PAUSE
        logger.error("%s; counts and news about devices wait in memory", error)

    def end(self) -> None:
        """Note that Redis has answered."""
        self._until = 0.0
