"""How long to leave a server alone that is in trouble."""

import random
import time
from typing import Final

#: Seconds after the first failure: doubled with each that follows without a success between them.
FIRST: Final = 0.5
LONGEST: Final = 30.0


class Backoff:
    """Pauses between attempts to connect, by the clock that never jumps."""

    def __init__(self) -> None:
        #: When the next attempt may be made.
        self.until = 0.0
        self._pause = FIRST

    @property
    def is_paused(self) -> bool:
        """Whether the next attempt has to wait."""
        return time.monotonic() < self.until

    def fail(self) -> None:
        """Begin a pause; it is a little shorter or longer, lest all processes come at once."""
        self.until = time.monotonic() + self._pause * random.uniform(0.75, 1.25)  # noqa: S311
        self._pause = min(self._pause * 2, LONGEST)

    def succeed(self) -> None:
        """Let the next pause be a short one."""
        self._pause = FIRST
