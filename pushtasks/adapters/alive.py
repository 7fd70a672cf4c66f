"""Signs of life of a worker, for those who start it anew if it hangs.

With each heartbeat, every two seconds while its main loop runs and has a broker, a worker

- touches the file that PUSHTASKS_ALIVE_FILE names. A probe looks how old it is, in 3 ms;
  `celery inspect ping` starts another Celery for it, which costs most of a second of a processor;
- tells systemd, where that starts it with `Type=notify` and `WatchdogSec=`.

Source: sd_notify(3), "Notes", for what is sent to systemd.
"""

import logging
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from celery import signals

logger = logging.getLogger(__name__)

FILE_VARIABLE: Final = "PUSHTASKS_ALIVE_FILE"
#: Set by systemd.
SOCKET_VARIABLE: Final = "NOTIFY_SOCKET"


class Signs:
    """Gives signs of life in the ways that the environment asks for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        file = environ.get(FILE_VARIABLE)
        self._file = Path(file) if file else None
        self._socket = environ.get(SOCKET_VARIABLE)
        self._is_well = True

    @property
    def are_wanted(self) -> bool:
        """Whether anybody looks for them."""
        return bool(self._file or self._socket)

    def ready(self, **_: object) -> None:
        """Tell that the worker has started."""
        self._give("READY=1")

    def beat(self, **_: object) -> None:
        """Tell that the worker lives."""
        self._give("WATCHDOG=1")

    def stopping(self, **_: object) -> None:
        """Tell that the worker ends, once its tasks have."""
        self._give("STOPPING=1")

    def _give(self, state: str) -> None:
        try:
            if self._file:
                self._file.touch()
            if self._socket:
                _notify(self._socket, state)
        except OSError as error:
            if self._is_well:  # to say so every two seconds would not help
                logger.warning("No sign of life can be given (%s)", error)
            self._is_well = False
        else:
            self._is_well = True


def give_signs() -> None:
    """Have the worker that begins here give signs of life, if anybody looks for them."""
    signs = Signs(os.environ)
    if signs.are_wanted:
        signals.worker_ready.connect(signs.ready, weak=False)
        signals.heartbeat_sent.connect(signs.beat, weak=False)
        signals.worker_shutting_down.connect(signs.stopping, weak=False)


def _notify(address: str, state: str) -> None:
    """Send a datagram; an address that begins with @ is in the abstract namespace."""
    path = f"\0{address[1:]}" if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
        notifier.settimeout(0)
        notifier.sendto(state.encode(), path)
