"""Figures that the processes of a prefork worker share: files, each process writing its own.

It is the multi-process mode of `prometheus_client`, which is chosen by an environment variable
before that package is imported. The files are in a folder of the worker's own; those of processes
that have ended become one, or there would be more and more of them.
"""

import os
import shutil
import tempfile
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX: Final = "pushtasks-metrics-"
#: In place of a process id, in the name of the file of all that have ended.
_ENDED: Final = 0


class SharedFigures:
    """What the processes have written, together; a collector of `prometheus_client`."""

    def __init__(self, directory: Path, *, is_own: bool) -> None:
        """Look at a folder.

        Args:
            directory: Where the files are.
            is_own: Whether nobody else has files there.
        """
        self._directory = directory
        self._is_own = is_own
        self._pid = os.getpid()
        self._lock = threading.Lock()

    @classmethod
    def begin(cls) -> Self:
        """Have this process and those that it forks write files; before any metric is made."""
        given = os.environ.get(VARIABLE)
        if given and not Path(given).name.startswith(_PREFIX):  # the host's, and so its business
            return cls(_in_force(Path(given)), is_own=False)
        _remove_left_behind()
        directory = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        os.environ[VARIABLE] = str(directory)
        return cls(_in_force(directory), is_own=True)

    def collect(self) -> "Iterable[Metric]":
        """Return the sums over all processes."""
        with self._lock:
            if self._is_own:
                self._bury_ended()
            collector = _multiprocess().MultiProcessCollector(None, str(self._directory))
            metrics: Iterable[Metric] = collector.collect()
            return metrics

    def remove(self) -> None:
        """Remove the files, if this is the process that began."""
        if self._is_own and self._pid == os.getpid():
            shutil.rmtree(self._directory, ignore_errors=True)

    def _bury_ended(self) -> None:
        for pid in {_pid_of(file) for file in self._directory.glob("*.db")} - {_ENDED}:
            if not _is_alive(pid):
                _multiprocess().mark_process_dead(pid, str(self._directory))  # its gauges
                for file in self._directory.glob(f"*_{pid}.db"):
                    self._add_to_ended(file)
                    file.unlink()

    def _add_to_ended(self, file: Path) -> None:
        files: Any = import_module("prometheus_client.mmap_dict").MmapedDict
        kind = file.name.rpartition("_")[0]
        total = files(str(self._directory / f"{kind}_{_ENDED}.db"))
        for key, value, timestamp, _ in files.read_all_values_from_file(str(file)):
            before, _ = total.read_value(key)
            total.write_value(key, before + value, timestamp)
        total.close()


def _multiprocess() -> Any:
    """Import what may be imported only when files have been chosen."""
    return import_module("prometheus_client.multiprocess")


def _in_force(directory: Path) -> Path:
    """Choose files even if the host has imported `prometheus_client` by now."""
    directory.mkdir(parents=True, exist_ok=True)
    values: Any = import_module("prometheus_client.values")
    if not values.ValueClass._multiprocess:  # noqa: SLF001
        values.ValueClass = values.MultiProcessValue()
    return directory


def _remove_left_behind() -> None:
    """Remove folders of workers that were killed, or that a restart in place has made anew."""
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = directory.name.removeprefix(_PREFIX).partition("-")[0]
        with suppress(OSError, ValueError):
            is_ours = directory.stat().st_uid == os.getuid()
            if is_ours and (int(pid) == os.getpid() or not _is_alive(int(pid))):
                shutil.rmtree(directory, ignore_errors=True)


def _pid_of(file: Path) -> int:
    return int(file.stem.rpartition("_")[2])


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
