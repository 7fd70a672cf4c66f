"""A client of the emulator's control API."""

import json
from typing import Any, Final
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

TIMEOUT: Final = 10.0


class Control:
    """What a running emulator is told, and what it tells."""

    def __init__(self, url: str) -> None:
        """Take the `control` address among the emulator's endpoints."""
        self._url = url
        self._open = build_opener(ProxyHandler({})).open  # it is on this machine

    def script(self, token: str, answer: Any) -> None:
        """Set how a device is answered from now on."""
        self._call("PUT", f"/tokens/{quote(token, safe='')}", answer)

    def forget(self, device_token: str, timestamp: int) -> None:
        """Put a device on the feedback service's list.

        Args:
            device_token: In hexadecimal.
            timestamp: Seconds since 1970: since when the app is gone.
        """
        self._call("POST", "/feedback", {"token": device_token, "timestamp": timestamp})

    def received(self) -> list[dict[str, Any]]:
        """Return what has arrived, oldest first."""
        entries: list[dict[str, Any]] = self._call("GET", "/received")
        return entries

    def connections(self) -> dict[str, int]:
        """Return how many connections have been opened, by service."""
        stats = self._call("GET", "/stats")
        counts = {service: seen.get("connections_opened") for service, seen in stats.items()}
        return {service: count for service, count in counts.items() if count is not None}

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with self._open(Request(self._url + path, data, method=method), timeout=TIMEOUT) as answer:  # noqa: S310
            return json.load(answer)
