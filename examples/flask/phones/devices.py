"""The devices, in SQLite."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import current_app

_TABLE = """
CREATE TABLE IF NOT EXISTS devices (
    id INTEGER PRIMARY KEY,
    provider TEXT NOT NULL,
    token TEXT NOT NULL,
    registered_at TEXT NOT NULL,
    inactive_reason TEXT,
    last_push TEXT,
    UNIQUE (provider, token)
)
"""
_COLUMNS = "id, provider, token, registered_at, inactive_reason, last_push"


@dataclass(frozen=True, slots=True)
class Device:
    """One of them."""

    id: int
    #: `apns` or `gcm`.
    provider: str
    #: Device token or registration id.
    token: str
    registered_at: datetime
    #: Why nothing is pushed to it any more.
    inactive_reason: str | None
    #: What became of the last push.
    last_push: str | None

    @property
    def is_active(self) -> bool:
        """Whether it can be pushed to."""
        return self.inactive_reason is None


def register(provider: str, token: str) -> None:
    """Take a device in, or note that it is there again."""
    with _database() as database:
        database.execute(
            "INSERT INTO devices (provider, token, registered_at) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET registered_at = excluded.registered_at,"
            " inactive_reason = NULL, last_push = NULL",
            (provider, token, datetime.now(UTC).isoformat()),
        )


def every() -> list[Device]:
    """Return all, the newest first."""
    return _select("ORDER BY id DESC")


def get(device_id: int) -> Device | None:
    """Return a device by its id."""
    return next(iter(_select("WHERE id = ?", device_id)), None)


def find(provider: str, token: str) -> Device | None:
    """Return a device by what its provider calls it."""
    return next(iter(_select("WHERE provider = ? AND token = ?", provider, token)), None)


def note(device_id: int, last_push: str | None) -> None:
    """Note what became of a push."""
    with _database() as database:
        database.execute("UPDATE devices SET last_push = ? WHERE id = ?", (last_push, device_id))


def deactivate(device_id: int, reason: str | None) -> None:
    """Push no more to a device."""
    with _database() as database:
        query = "UPDATE devices SET inactive_reason = ? WHERE id = ?"
        database.execute(query, (reason or "gone", device_id))


def rename(device_id: int, token: str | None) -> None:
    """Give a device the id by which its provider calls it now."""
    with _database() as database:
        database.execute("UPDATE OR REPLACE devices SET token = ? WHERE id = ?", (token, device_id))


def _select(condition: str, *values: object) -> list[Device]:
    with _database() as database:
        rows = database.execute(f"SELECT {_COLUMNS} FROM devices {condition}", values)  # noqa: S608
        return [
            Device(id_, provider, token, datetime.fromisoformat(registered_at), reason, last_push)
            for id_, provider, token, registered_at, reason, last_push in rows
        ]


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    """Open the database, and commit in the end; a worker's thread does so as well as a view."""
    path = current_app.config["DATABASE"]
    with closing(sqlite3.connect(path, timeout=10.0)) as connection, connection:
        connection.execute(_TABLE)
        yield connection
