"""The pretend providers as a context manager: settings that lead there, tasks that run here."""

import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from celery import Celery

from pushtasks.clients import Makers
from pushtasks.config import Settings, read_settings
from pushtasks.config.tables import merged
from pushtasks.testing.isolation import isolated
from pushtasks.testing.providers import PushEmulator
from pushtasks.testing.settings import Instead, has_apps, redirected

if TYPE_CHECKING:
    from pushtasks.emulator import Emulator

#: What the pretend providers need, in the extra `embedded`.
NEEDED: Final = ("h2", "h11", "trustme")
#: Apps that there are where the process itself knows none.
_APPS: Final = {
    "apns": {"default": {}, "classic": {"protocol": "binary"}},
    "gcm": {"default": {}, "classic": {"protocol": "legacy"}},
}
#: Settings of the emulator's that are files.
_FILES: Final = frozenset({"key", "certificate", "certificate_key", "credentials", "ca_file"})


@contextmanager
def emulator(
    settings: Mapping[str, Any] | None = None,
    *,
    running: "Emulator | None" = None,
    has_workers: bool = False,
) -> Iterator[PushEmulator]:
    """Have all pushes of this process go to pretend providers for a while.

    Tasks run at once where they are called, whatever the broker is, and so do fan-outs; what they
    tell of devices comes to handlers, signals and `feedback.read` as always.

    Args:
        settings: In the shape of `pushtasks.toml`, on top of what the process has. Each app goes
            to the pretend provider that speaks its protocol; where the process knows none, there
            are `default` and, for the wires of 2014, `classic`.
        running: An emulator that runs already; left out, one is started and stopped.
        has_workers: Leave `delay` to the broker and to workers of the test's own, in this process
            or, by `PushEmulator.environment`, in others.

    Raises:
        ModuleNotFoundError: The extra `embedded` is not installed.
    """
    more = settings or {}
    with ExitStack() as stack:
        providers = PushEmulator(running or stack.enter_context(started()))
        providers.reset()
        instead = _instead(providers.directory)

        def revise(written: Mapping[str, Any]) -> Any:
            apps = {} if has_apps(written) else _APPS
            return redirected(merged(apps, written), more, instead)

        def read(celery_app: Celery) -> Settings:
            return read_settings(celery_app, revise)

        stack.enter_context(isolated(read, Makers(), has_redis="redis_url" in more))
        if not has_workers:
            stack.enter_context(providers._carry_out_here())  # noqa: SLF001
        yield providers


@contextmanager
def started(directory: Path | None = None) -> "Iterator[Emulator]":
    """Run an emulator for a while.

    Args:
        directory: Where its keys and certificates are kept; None: nowhere afterwards.

    Raises:
        ModuleNotFoundError: The extra `embedded` is not installed.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"{' and '.join(missing)} missing: the pretend providers need"
            "  pip install 'pushtasks[embedded]'"
        )
    from pushtasks.emulator import Emulator  # noqa: PLC0415, an extra

    with (
        tempfile.TemporaryDirectory(prefix="pushtasks-") as temporary,
        Emulator(directory or Path(temporary)) as running,
    ):
        yield running


def _instead(directory: Path) -> Instead:
    """Return where apps lead, as the emulator has written it for its clients."""
    tables = tomllib.loads((directory / "pushtasks.toml").read_text(encoding="utf-8"))
    names = {"apns": {"http2": "default", "binary": "classic"}}
    names["gcm"] = {"v1": "default", "legacy": "classic"}
    return {
        provider: {
            protocol: {
                key: str(directory / value) if key in _FILES else value
                for key, value in tables[provider][name].items()
                if key not in {"topic", "protocol"}
            }
            for protocol, name in by_protocol.items()
        }
        for provider, by_protocol in names.items()
    }
