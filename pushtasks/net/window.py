"""How many requests to keep in flight: enough to fill the way to the server, no more. Pure.

What a server allows is far more than a near one needs: a thousand streams towards a sink in the
same room cost half as much CPU again as a hundred, for no gain. What is of use is as many as one
thread can send during a round trip. The quickest answer tells how long that takes: it is the one
that did not queue behind others, as the first on a new connection never does. A busy machine makes
answers slower, never quicker, so it cannot widen the window.
"""

import math
from typing import Final

FIRST_SIZE: Final = 100
#: Requests that one thread sends in a second, at the most.
PACE: Final = 40_000


class Window:
    """The size of the window of one generation of connections."""

    def __init__(self, limit: int) -> None:
        """Begin with FIRST_SIZE, or with `limit` if that is less, which is never exceeded."""
        self.size = min(limit, FIRST_SIZE)
        self._limit = limit
        self._quickest = math.inf
        self._left = self.size

    def note(self, seconds: float, count: int = 1) -> None:
        """Learn how long the quickest took of some answers that came together, all accepting.

        Others do not count: a server at the border may refuse in no time what takes the way to the
        one behind it otherwise.
        """
        self._quickest = min(self._quickest, seconds)
        self._left -= count
        if self._left <= 0:
            self._resize()

    def _resize(self) -> None:
        """Choose the size for as many answers; each time it may double."""
        needed = max(FIRST_SIZE, self._quickest * PACE)
        self.size = int(min(self._limit, needed, 2 * self.size))
        self._left = self.size
