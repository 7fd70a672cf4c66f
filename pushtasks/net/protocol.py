"""A protocol that confirms by silence, as connections see it: bytes in and out, nothing else."""

from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from pushtasks.results import Verdict

Item = TypeVar("Item")


class GarbledAnswer(Exception):
    """What came is no answer of this protocol's."""


@dataclass(frozen=True, slots=True)
class Ending(Generic[Item]):
    """What the end of a connection says of the notifications in its record, each in one place."""

    accepted: tuple[Item, ...] = ()
    #: The one that was refused, and how.
    rejected: tuple[Item, Verdict] | None = None
    #: Thrown away by the gateway, in order: to be sent again.
    lost: tuple[Item, ...] = ()
    #: Those of which nothing is known but, perhaps, that nobody has taken them.
    unknown: tuple[Item, ...] = ()
    maybe_taken: bool = True
    #: How many were thrown away that the record had no room for any more.
    forgotten: int = 0
    #: In words: why the connection has ended.
    reason: str = field(default="")


class SilentProtocol(Protocol[Item]):
    """One connection, from its first byte to its last; made anew for each."""

    #: Items that are remembered, at the most.
    limit: int

    @property
    def is_confirming(self) -> bool:
        """Whether a confirmation was asked for; nothing more may be sent then."""

    def send(self, item: Item) -> tuple[int, bytes]:
        """Take an item into the record; return its identifier and the bytes to write."""

    @property
    def can_confirm(self) -> bool:
        """Whether the other side confirms if it is asked to; else it never says anything."""

    def confirm(self) -> bytes:
        """Return the bytes that make the other side confirm."""

    def receive(self, data: bytes) -> Ending[Item] | None:
        """Take what came, however it is cut; return what it says once it is complete.

        Raises:
            GarbledAnswer: It is no answer of this protocol's.
        """

    def end(self, reason: str) -> Ending[Item]:
        """Return what is known when the connection ends without an answer."""

    def acceptance(self, identifier: int) -> Verdict:
        """Return the verdict on an item that counts as accepted."""
