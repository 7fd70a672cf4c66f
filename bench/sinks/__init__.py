"""Where pushes go: nginx, the emulator, and a gateway that reads and throws away."""

from dataclasses import dataclass


class SinkError(Exception):
    """A sink cannot be had; one line that says why."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a sink answers."""

    #: Seconds until it does.
    delay: float = 0.0
    #: Requests after which a connection ends with GOAWAY; None: it stays.
    goaway_every: int | None = None


PLAIN = Behaviour()
