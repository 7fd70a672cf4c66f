"""The pytest plugin `pushtasks`: fixtures with which a test sends pushes and sees what was sent.

It imports nothing before a test asks for it; `-p no:pushtasks` switches it off.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from pushtasks.emulator import Emulator
    from pushtasks.testing import Outbox, PushEmulator

#: Celery's fixtures of workers: with one of them pushes go over the broker.
_WORKERS: Final = frozenset({"celery_worker", "celery_session_worker"})


@pytest.fixture
def push_settings() -> Mapping[str, Any]:
    """Settings of pushtasks on top of your own, in the shape of pushtasks.toml: override it."""
    return {}


@pytest.fixture
def push_outbox(
    request: pytest.FixtureRequest, push_settings: Mapping[str, Any]
) -> "Iterator[Outbox]":
    """Keep all pushes of the test, so that none leaves the process; each is accepted at first."""
    if "push_emulator" in request.fixturenames:
        pytest.fail("push_outbox and push_emulator exclude each other: ask for one", pytrace=False)
    from pushtasks.testing import outbox  # noqa: PLC0415, not before it is needed

    with outbox(push_settings) as box:
        yield box


@pytest.fixture(scope="session")
def push_emulator_running(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Emulator]":
    """One pretend Apple and Google for the session; tests take `push_emulator` instead."""
    from pushtasks.testing.emulating import started  # noqa: PLC0415, not before it is needed

    with started(tmp_path_factory.mktemp("push-emulator")) as running:
        yield running


@pytest.fixture
def push_emulator(
    request: pytest.FixtureRequest,
    push_settings: Mapping[str, Any],
    push_emulator_running: "Emulator",
) -> "Iterator[PushEmulator]":
    """Send all pushes of the test to a pretend Apple and Google on loopback."""
    from pushtasks.testing import emulator  # noqa: PLC0415, not before it is needed

    has_workers = not _WORKERS.isdisjoint(request.fixturenames)
    with emulator(push_settings, running=push_emulator_running, has_workers=has_workers) as one:
        yield one
