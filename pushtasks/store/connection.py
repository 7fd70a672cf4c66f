"""Redis as the store meets it: every call is bounded in time, every fault is one exception."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

from pushtasks.errors import PushError
from pushtasks.store.scripts import Script

#: Seconds for a connection, and for an answer.
TIMEOUT: Final = 1.0


class StoreUnavailable(PushError):
    """Redis cannot be reached or refuses; the message names it, without its password."""


class Connection:
    """Connections to one Redis, made as needed, for several threads."""

    def __init__(self, url: str, **options: Any) -> None:
        """Take the address; nothing is opened yet.

        Args:
            url: As `redis.Redis.from_url` takes it.
            options: Of `redis.Redis.from_url`, in place of ours.
        """
        ours = {
            "decode_responses": True,
            "encoding_errors": "surrogatepass",  # one odd token is not to spoil its list
            "socket_connect_timeout": TIMEOUT,
            "socket_timeout": TIMEOUT,
            "retry": Retry(NoBackoff(), 0),  # what may have been counted is not sent again
        }
        self.redis: Any = redis.Redis.from_url(url, **{**ours, **options})
        options = self.redis.connection_pool.connection_kwargs
        address = options.get("path") or f"{options.get('host')}:{options.get('port')}"
        #: Without password.
        self.name = f"{address}/{options.get('db', 0)}"

    @contextmanager
    def watched(self) -> Iterator[Any]:
        """Yield the client; what goes wrong with it is `StoreUnavailable`.

        Raises:
            StoreUnavailable: Redis cannot be reached, is too slow, or refuses.
        """
        try:
            yield self.redis
        except (redis.RedisError, OSError) as error:
            first = (str(error).splitlines() or [""])[0].rstrip(".")
            raise StoreUnavailable(
                f"Redis at {self.name}: {first or type(error).__name__}; see that it runs and that"
                " redis_url leads to it"
            ) from None

    def run(self, script: Script, calls: Sequence[tuple[list[str], list[Any]]]) -> list[Any]:
        """Run a script, once for each pair of keys and arguments: all of them, or none.

        Raises:
            StoreUnavailable: As `watched`. It may have run all the same if the answer was late.
        """
        with self.watched() as client:
            try:
                return self._run(client, calls, "EVALSHA", script.sha)
            except NoScriptError:  # a Redis that was restarted; it has run none of them
                return self._run(client, calls, "EVAL", script.text)

    @staticmethod
    def _run(
        client: Any, calls: Sequence[tuple[list[str], list[Any]]], command: str, script: str
    ) -> list[Any]:
        if len(calls) == 1:
            [(names, arguments)] = calls
            return [client.execute_command(command, script, len(names), *names, *arguments)]
        with client.pipeline(transaction=True) as pipeline:
            for names, arguments in calls:
                pipeline.execute_command(command, script, len(names), *names, *arguments)
            answers: list[Any] = pipeline.execute()
            return answers
