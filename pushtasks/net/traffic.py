"""What observers are told of the connections to one server: differences, and not too often."""

from collections.abc import Collection
from typing import Final, Protocol

from pushtasks import observers
from pushtasks.observers import Connections

#: Seconds between two records while requests are under way.
INTERVAL: Final = 0.1


class Counted(Protocol):
    """What is asked of a generation of connections."""

    #: Connections that could be opened at its beginning.
    reached: int
    #: Connections that the server has ended since, each replaced by another.
    replaced: int

    @property
    def streams(self) -> int:
        """Requests in flight."""


class Traffic:
    """Adds up the generations of one lane, and remembers what was told."""

    def __init__(self, server: str) -> None:
        """Begin with nothing.

        Args:
            server: `host:port`.
        """
        self._server = server
        self._told = (0, 0, 0, 0)
        self._told_at = 0.0
        #: Of generations that are closed: connections opened, and of these, ended by the server.
        self._opened = 0
        self._replaced = 0

    def retire(self, generation: Counted) -> None:
        """Count a generation as closed."""
        self._opened += generation.reached + generation.replaced
        self._replaced += generation.replaced

    def tell(self, generations: Collection[Counted], now: float) -> None:
        """Tell what has changed since it was told last, unless that was just now.

        Args:
            generations: Those that are not closed.
            now: On the monotonic clock.
        """
        streams = sum(generation.streams for generation in generations)
        if streams and now - self._told_at < INTERVAL:
            return
        replaced = sum(generation.replaced for generation in generations)
        opened = self._opened + replaced + sum(generation.reached for generation in generations)
        totals = (opened, self._opened + replaced, self._replaced + replaced, streams)
        if totals != self._told:
            changes = [total - told for total, told in zip(totals, self._told, strict=True)]
            observers.tell(Connections(self._server, *changes))
            self._told, self._told_at = totals, now
