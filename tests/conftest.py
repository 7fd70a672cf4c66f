"""Fixtures that all tests share."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pushtasks.emulator import Emulator, Endpoints


class EmulatorClient:
    """A running emulator, as a test meets it."""

    def __init__(self, directory: Path, endpoints: Endpoints) -> None:
        self.directory = directory
        self.endpoints = endpoints

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control API and return its parsed JSON, whatever the status."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310
            self.endpoints.control + path, data, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return json.load(error)

    def received(self) -> list[dict[str, Any]]:
        """Return what arrived since the last reset."""
        entries: list[dict[str, Any]] = self.control("GET", "/received")
        return entries

    def reset(self) -> None:
        """Make the provider healthy and forget what it saw."""
        for path in ("/tokens", "/faults", "/received", "/feedback", "/stats"):
            self.control("DELETE", path)


@pytest.fixture(scope="session")
def running_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorClient]:
    """One emulator for the whole session; tests take `emulator` instead."""
    directory = tmp_path_factory.mktemp("emulator")
    with Emulator(directory, received_limit=50_000) as emulator:
        yield EmulatorClient(directory, emulator.endpoints)


@pytest.fixture
def emulator(running_emulator: EmulatorClient) -> EmulatorClient:
    """A healthy emulator that has seen nothing yet."""
    running_emulator.reset()
    return running_emulator
