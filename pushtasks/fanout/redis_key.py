"""A key in Redis as the source of a fan-out: read a page at a time, and left as it is."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pushtasks.errors import InvalidPush
from pushtasks.fanout.patience import keep_trying
from pushtasks.fanout.records import Position, Record, item_of, read_item
from pushtasks.store.connection import Connection

#: Members that are read at a time.
PAGE: Final = 1000
#: Of a URL's query: who one is.
_CREDENTIALS: Final = frozenset({"username", "password"})


class RedisKey:
    """A list, a set or a sorted set in Redis: it is looked at, nothing is taken from it."""

    def __init__(self, key: str, url: str) -> None:
        """Take its name; nothing is opened yet.

        Args:
            key: Members are device tokens, or JSON. It must not change while it is read.
            url: As `redis.Redis.from_url` takes it.
        """
        self._key, self._url = key, url
        self._connection = Connection(url, encoding_errors="replace")

    def describe(self) -> dict[str, Any]:
        """Return key and address, without a password."""
        return {"kind": "redis", "key": self._key, "url": bare_url(self._url)}

    def records(self, after: Position, *, is_mixed: bool) -> Iterator[Record]:  # noqa: ARG002
        """Yield the devices after a position."""
        kind = self._ask(lambda client: client.type(self._key))
        if kind == "none":
            return
        if kind not in _PAGES:
            raise InvalidPush(
                f"key {self._key!r} in Redis at {self._connection.name} is a {kind}: name a list,"
                " a set or a sorted set of device tokens"
            )
        members = _PAGES[kind](self._ask, self._key, after["place"])
        for line, (place, member) in enumerate(members, after["line"] + 1):
            yield Record(line, read_item(item_of, member.strip()), place)

    def _ask(self, command: Callable[[Any], Any]) -> Any:
        def ask() -> Any:
            with self._connection.watched() as client:
                return command(client)

        return keep_trying(ask)


def bare_url(url: str) -> str:
    """Return the URL of a Redis without user and password."""
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query) if pair[0] not in _CREDENTIALS]
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=netloc, query=urlencode(query)))


_Ask = Callable[[Callable[[Any], Any]], Any]


def _list_pages(ask: _Ask, key: str, place: int | None) -> Iterator[tuple[int, str]]:
    """Yield the members of a list, each with the index after its own."""
    start = place or 0
    while members := ask(partial(_range, key=key, start=start)):
        yield from enumerate(members, start + 1)
        start += len(members)


def _range(client: Any, *, key: str, start: int) -> Any:
    return client.lrange(key, start, start + PAGE - 1)


def _scan_pages(
    ask: _Ask, key: str, place: list[int] | None, command: str
) -> Iterator[tuple[list[int], str]]:
    """Yield members, each with the cursor of its page and how many of the page have been had."""
    cursor, had = place or (0, 0)
    while True:
        following, page = ask(partial(_scan, command=command, key=key, cursor=cursor))
        members = [member[0] if isinstance(member, tuple) else member for member in page]
        for number, member in enumerate(members[had:], had + 1):
            yield [cursor, number], member
        cursor, had = int(following), 0
        if not cursor:
            return


def _scan(client: Any, *, command: str, key: str, cursor: int) -> Any:
    return getattr(client, command)(key, cursor, count=PAGE)


_PAGES: Final[Mapping[str, Callable[[_Ask, str, Any], Iterator[tuple[Any, str]]]]] = {
    "list": _list_pages,
    "set": partial(_scan_pages, command="sscan"),
    "zset": partial(_scan_pages, command="zscan"),
}
