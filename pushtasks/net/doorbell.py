"""What a thread that serves one socket sleeps on: the socket, the time, and whoever rings."""

import selectors
import socket
from typing import Final

#: Rings that are heard at once.
RINGS: Final = 4096


class Doorbell:
    """Wakes one thread; any other may ring, and never waits for it."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._bell, self._ear = socket.socketpair()
        for one in (self._bell, self._ear):
            one.settimeout(0)
        self._selector.register(self._ear, selectors.EVENT_READ)

    def ring(self) -> None:
        """End the sleep, or the next one if nobody sleeps."""
        try:
            self._bell.send(b"\0")
        except BlockingIOError:  # it has been rung often enough
            return

    def watch(self, watched: socket.socket) -> None:
        """Wake up, too, when there is something to read from a socket."""
        self._selector.register(watched, selectors.EVENT_READ)

    def unwatch(self, watched: socket.socket) -> None:
        """Forget a socket, before it is closed."""
        self._selector.unregister(watched)

    def wake_to_write(self, watched: socket.socket, *, wanted: bool) -> None:
        """Wake up, too, when a socket takes more; or, if that is not wanted, no more."""
        write = selectors.EVENT_WRITE if wanted else 0
        self._selector.modify(watched, selectors.EVENT_READ | write)

    def sleep(self, seconds: float) -> None:
        """Sleep until something happens, but so long at the most."""
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._ear:
                self._ear.recv(RINGS)

    def close(self) -> None:
        """Close what is ours; nobody may ring any more."""
        self._selector.close()
        self._bell.close()
        self._ear.close()
