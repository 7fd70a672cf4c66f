"""For how long connections to a server may be silent before others are opened. Pure."""

from typing import Final

#: Seconds for a server of which nothing is known, and for every quick one.
LEAST: Final = 1.5
MOST: Final = 10.0
#: So many times the slowest answer of late is borne.
FACTOR: Final = 4.0
#: How much of the slowest answer is remembered from one answer to the next.
KEPT: Final = 0.99


class Patience:
    """Learns from the answers of one server, over whichever connections they come.

    Those that come late, over connections already given up, count as well: or a server slower than
    our patience would be given new connections for ever.
    """

    def __init__(self) -> None:
        self._slowest = 0.0

    @property
    def seconds(self) -> float:
        """How long to wait for the next answer of any."""
        return min(MOST, max(LEAST, FACTOR * self._slowest))

    def note(self, seconds: float, count: int = 1) -> None:
        """Learn how long the slowest of some answers took that came together."""
        self._slowest = max(seconds, self._slowest * KEPT**count)
