"""How a command that stays in the foreground is ended: Ctrl-C, a hang-up, or a kind `kill`."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ends_well() -> Iterator[None]:
    """Let the first of these signals end the block without an error."""
    with stoppable(), suppress(KeyboardInterrupt):
        yield


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise KeyboardInterrupt at the first of these signals; none after it stops the clean-up."""
    before = {number: signal.signal(number, _stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(_number: int, _frame: FrameType | None) -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
