"""The base of the task that sends a chunk of a fan-out: it belongs to no app, but to a fan-out."""

from typing import Any, Final

from pushtasks.sending.arguments import Arguments, bind
from pushtasks.sending.task_base import PushTask

#: Seconds after which a chunk that waits looks again whether it was paused, cancelled or let go.
LONGEST_WAIT: Final = 10.0


class ChunkTask(PushTask):
    """What it does, its function says; its counters are in Redis, so it leaves no result."""

    abstract = True
    ignore_result = True

    def checked(self, *args: Any, **kwargs: Any) -> Arguments:
        """Return the arguments by name, checked.

        Raises:
            InvalidPush: They are none of a chunk.
        """
        return type(self).check(bind(self.name, self.run, args, kwargs))

    def on_failure(
        self, exc: Exception, task_id: str, args: Any, kwargs: dict[str, Any], einfo: Any
    ) -> None:
        """Do nothing: what becomes of the devices was noted before the failure was raised."""

    def _longest_pause(self) -> float:
        return min(LONGEST_WAIT, super()._longest_pause())
