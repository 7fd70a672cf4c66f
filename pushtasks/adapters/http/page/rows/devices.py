"""What providers told of devices lately, each masked. Pure."""

from typing import Final, NamedTuple

from pushtasks.adapters.http.page.figures import Moment
from pushtasks.adapters.http.page.snapshot import Snapshot
from pushtasks.masking import mask
from pushtasks.news import Entry, Kind

#: Rows of one kind.
DEVICES: Final = 8


class DeviceRow(NamedTuple):
    """One of the news, its device masked."""

    seen: Moment
    app: str
    token: str
    #: Of what takes its place; empty if it is dead.
    successor: str
    reason: str
    dead_since: Moment | None


def device_rows(snapshot: Snapshot, kind: Kind) -> tuple[DeviceRow, ...]:
    """Return the newest news of a kind."""
    found = [entry for entry in snapshot.news if entry.kind is kind]
    return tuple(_device_row(entry, snapshot) for entry in found[:DEVICES])


def _device_row(entry: Entry, snapshot: Snapshot) -> DeviceRow:
    since = entry.dead_since
    return DeviceRow(
        seen=Moment.of(entry.seen_at, snapshot.now),
        app=f"{entry.provider}.{entry.app}",
        token=mask(entry.token),
        successor=mask(entry.canonical_id) if entry.canonical_id else "",
        reason=entry.reason or "",
        dead_since=Moment.of(since, snapshot.now) if since else None,
    )
