"""What the emulator writes into its directory for clients to find."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

ENDPOINTS_FILE: Final = "endpoints.json"
SETTINGS_FILE: Final = "pushtasks.toml"
PRIVATE: Final = 0o600
PUBLIC: Final = 0o644


class EmulatorError(Exception):
    """The emulator cannot start; one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the services listen: URLs, and `host:port` for those that speak no HTTP."""

    apns: str
    gateway: str
    feedback: str
    fcm: str
    gcm: str
    control: str

    def to_dict(self) -> dict[str, str]:
        """Return what stands in `endpoints.json`."""
        return asdict(self)


def write(path: Path, content: str | bytes, *, is_private: bool = False) -> None:
    """Write a file as a whole: nobody ever sees half of it, nor a private one but its owner."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    mode = PRIVATE if is_private else PUBLIC
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    temporary.replace(path)


def write_endpoints(directory: Path, endpoints: Endpoints) -> None:
    """Write `endpoints.json`, whose appearance says that everything listens."""
    write(directory / ENDPOINTS_FILE, json.dumps(endpoints.to_dict(), indent=2) + "\n")


def write_settings(directory: Path, apps: Mapping[str, Mapping[str, Any]]) -> None:
    """Write `pushtasks.toml`, which holds a key and is for its owner only.

    Args:
        directory: Where to.
        apps: Table name, such as `apns.default`, → key → text, number, truth value or list of them;
            paths relative to the directory.
    """
    tables = (
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for name, table in apps.items()
    )
    write(directory / SETTINGS_FILE, "\n".join(tables), is_private=True)
