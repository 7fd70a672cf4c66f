"""Whether anybody wants events, as every process of a worker may ask."""

import mmap


class Switch:
    """A byte that a worker shares with the processes that it forks; off at first.

    Celery tells only a worker's main process that somebody watches, while in the prefork pool its
    children run the tasks.
    """

    __slots__ = ("_byte",)

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    @property
    def is_on(self) -> bool:
        """Whether events are to be sent."""
        return self._byte[0] == 1

    def set(self, *, is_on: bool) -> None:
        """Tell all processes."""
        self._byte[0] = is_on
