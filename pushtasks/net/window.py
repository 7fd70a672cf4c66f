"""How many requests to keep in flight: as many as make it faster, and no more. Pure.

What a server allows is far more than a near one needs: a thousand streams towards a sink in the
same room cost half as much CPU again as a hundred, for no gain. So the window doubles while that
raises the rate of answers, goes back a step where it does not, and tries again after a while.
"""

import math
from typing import Final

FIRST_SIZE: Final = 100
#: Windows full of answers over which a rate is measured.
ROUNDS: Final = 2
#: A wider window has to raise the rate by so much to be kept.
GAIN: Final = 1.3
#: Measurements to wait before trying once more what did not help.
HOLD: Final = 50


class Window:
    """The size of the window of one generation of connections, from 1 to `limit`."""

    def __init__(self, limit: int, first: int = FIRST_SIZE) -> None:
        self.limit = limit
        self.size = min(limit, first)
        self._answers = 0
        self._began = math.nan
        self._rate = 0.0
        self._grown = False
        self._hold = 0

    def pause(self) -> None:
        """Forget the measurement under way: the window was not what held the rate back."""
        self._began = math.nan

    def note(self, answers: int, now: float) -> None:
        """Count answers that came while more requests were waiting than the window let through."""
        if math.isnan(self._began):
            self._began, self._answers = now, 0
            return
        self._answers += answers
        if self._answers >= ROUNDS * self.size and now > self._began:
            self._judge(self._answers / (now - self._began))
            self._began, self._answers = now, 0

    def _judge(self, rate: float) -> None:
        if self._grown and rate < GAIN * self._rate:
            self.size, self._grown, self._hold = max(1, self.size // 2), False, HOLD
            return
        self._grown, self._rate = False, rate
        if self._hold:
            self._hold -= 1
        elif self.size < self.limit:
            self.size, self._grown = min(self.limit, self.size * 2), True
