"""Runs the installed `pushtasks` command, as a user does."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("pushtasks"))
#: Seconds after which a test gives up.
PATIENCE = 30.0


def environment(**variables):
    foreign = ("PUSHTASKS_", "CELERY_", "DJANGO_", "NO_COLOR", "FORCE_COLOR", "COLUMNS")
    clean = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
    return clean | variables


class Ran:
    """A command that has ended."""

    def __init__(self, done):
        self.status = done.returncode
        self.out, self.err = done.stdout, done.stderr
        assert "Traceback" not in self.err

    def json(self):
        return json.loads(self.out)

    @property
    def rows(self):
        """The words of each line of output."""
        return [line.split() for line in self.out.splitlines() if line.strip()]

    @property
    def error(self):
        """The only line of an error, without its `Error: `."""
        line = self.err.strip().splitlines()[-1]
        return line.removeprefix("Error: ")


@pytest.fixture
def pushtasks(tmp_path):
    """(arguments, input=None, variables) → a command that has run to its end in an empty folder."""

    def run(*arguments, given=None, **variables):
        done = subprocess.run(  # noqa: S603
            [COMMAND, *map(str, arguments)],
            input=given,
            env=environment(**variables),
            cwd=tmp_path,
            text=True,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        return Ran(done)

    return run


@pytest.fixture
def start(tmp_path):
    """(arguments, variables) → a command that stays in the foreground, the JSON it began with."""
    started = []

    def begin(*arguments, **variables):
        process = subprocess.Popen(  # noqa: S603
            [COMMAND, *map(str, arguments), "--json"],
            env=environment(**variables),
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        line = process.stdout.readline()
        assert line, process.stderr.read()
        return process, json.loads(line)

    yield begin
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)


@pytest.fixture
def launch(tmp_path):
    """(arguments, variables) → a command that runs, all its streams pipes."""
    started = []

    def begin(*arguments, **variables):
        process = subprocess.Popen(  # noqa: S603
            [COMMAND, *map(str, arguments)],
            env=environment(**variables),
            cwd=tmp_path,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        with process:
            process.kill()


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, arguments, cwd, columns, variables):
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            in_terminal = environment(TERM="xterm-256color") | variables
            os.execve(COMMAND, [COMMAND, *arguments], in_terminal)  # noqa: S606
        size = struct.pack("HHHH", 50, columns, 0, 0)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)
        self.text = ""

    def type(self, text):
        os.write(self._terminal, text.encode())

    def read_until(self, words):
        while words not in self.text:
            assert self._read(), self.text

    def wait(self):
        """Read to the end and return the exit status."""
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self):
        assert select.select([self._terminal], [], [], PATIENCE)[0], self.text
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # what the end of a terminal looks like on Linux
            return False
        self.text += data.decode()
        return bool(data)


@pytest.fixture
def terminal(tmp_path):
    """(arguments, columns=80, variables) → a command in a terminal."""

    def begin(*arguments, columns=80, **variables):
        return Terminal(arguments, tmp_path, columns, variables)

    return begin


def descendants(pid):
    """Return process ids by what they run, of all that a process has started."""
    listing = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid=,args="],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    processes = [line.split(None, 2) for line in listing.stdout.splitlines()]
    found, parents = {}, {str(pid)}
    while parents:
        children = [process for process in processes if process[1] in parents]
        found |= {int(child): command for child, _, command in children}
        parents = {child for child, _, _ in children}
    return found


@pytest.fixture
def offspring():
    return descendants


@pytest.fixture
def gone():
    """(process ids) → returns once none of them runs."""

    def wait(pids):
        deadline = time.monotonic() + PATIENCE
        left = set(pids)
        while left := {pid for pid in left if is_running(pid)}:
            assert time.monotonic() < deadline, f"still running: {left}"
            time.sleep(0.02)

    return wait


def is_running(pid):
    state = subprocess.run(  # noqa: S603
        ["ps", "-o", "stat=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


@pytest.fixture(scope="session")
def running_up(tmp_path_factory):
    """Broker, providers and worker for all tests of a session."""
    folder = tmp_path_factory.mktemp("up")
    process = subprocess.Popen(  # noqa: S603
        [COMMAND, "up", "--dir", folder / "state", "--json"],
        env=environment(),
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
    )
    line = process.stdout.readline()
    assert line
    yield json.loads(line)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    process.stdout.close()


@pytest.fixture
def here(running_up):
    """Variables that lead a command to the worker of `running_up`."""
    return running_up["environment"]


@pytest.fixture
def script(running_up):
    """(token, answer) → how a device of `running_up` is answered from now on."""
    from pushtasks.adapters.cli.control import Control  # noqa: PLC0415

    return Control(running_up["control"]).script
