"""The rows of a queryset as the devices of a fan-out."""

from collections.abc import Iterator
from typing import Any, Final

from pushtasks.fanout.records import Position, Record
from pushtasks.fanout.sources import Items

#: Rows that are read at a time.
PAGE: Final = 2000


class Rows(Items):
    """The devices of a queryset in the order of their primary keys, a page at a time.

    No cursor stays open while the publisher waits for the workers: none that keeps SQLite locked
    or PostgreSQL's pooler busy, and with MySQL no table in memory. Where to go on is told by the
    key of the last device, so that a fan-out is resumed right though devices have come and gone.
    """

    def __init__(self, devices: Any) -> None:
        """Take a queryset; nothing is read yet."""
        super().__init__(())
        self._rows = devices.order_by("pk").values_list("pk", "token")

    def records(self, after: Position, *, is_mixed: bool) -> Iterator[Record]:  # noqa: ARG002
        """Yield the devices after a position."""
        line, last = after["line"], after["place"]
        while page := self._page(last):
            for key, token in page:
                if key == last:  # once more, since the queryset joins another table
                    continue
                line, last = line + 1, key
                yield Record(line, token, key if isinstance(key, int) else str(key))

    def _page(self, last: Any) -> list[tuple[Any, str]]:
        rows = self._rows if last is None else self._rows.filter(pk__gt=last)
        return list(rows[:PAGE])
