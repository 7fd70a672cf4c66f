"""The commands of the systemd units, started as they are written and as systemd would.

There is no systemd in a test: specifiers, variables and paths are filled in by `words`.
"""

import re
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parent.parent.parent / "deploy" / "systemd"
TIMEOUT = 30


def words(file, state, **variables):
    """Return the command of a unit, for the instance `bulk` of a template."""
    [line] = re.findall(r"^ExecStart=(.+)$", (SYSTEMD / file).read_text(), re.MULTILINE)
    line = line.replace("/opt/pushtasks/bin", str(Path(sys.executable).parent))
    line = line.replace("/var/lib/pushtasks", str(state)).replace("%i", "bulk").replace("%%", "%")
    for name, value in variables.items():
        line = line.replace(f"${name}", value)
    assert "$" not in line
    return line.split()


@pytest.fixture
def start(environ, tmp_path):
    """(command, variables) → a process that runs it; it is ended with the test."""
    processes = []

    def begin(command, **more):
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=tmp_path,
            env={**environ, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.terminate()
        process.communicate(timeout=TIMEOUT)


@pytest.mark.acceptance
def test_the_workers_unit_is_ready_once_it_works_and_has_the_name_of_its_instance(
    start, tmp_path, host, wait_until
):
    options = "-Q push.bulk -c 2"
    command = words("pushtasks-worker@.service", tmp_path, WORKER_OPTIONS=options)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(TIMEOUT)
        listening.bind(str(tmp_path / "notify"))
        start(command, NOTIFY_SOCKET=listening.getsockname())
        while listening.recv(100) != b"READY=1":
            pass

    while not (answers := host.control.inspect(timeout=5).active_queues()):
        pass
    [(name, [queue])] = answers.items()

    assert name.startswith("bulk@")
    assert queue["name"] == "push.bulk"


@pytest.mark.acceptance
def test_beats_unit_keeps_its_schedule_where_it_may_write(start, tmp_path, wait_until):
    process = start(words("pushtasks-beat.service", tmp_path))

    wait_until(lambda: list(tmp_path.glob("schedule*")) or process.poll() is not None, TIMEOUT)

    assert process.poll() is None


@pytest.mark.acceptance
def test_the_http_services_unit_is_ready_for_its_proxy(start, tmp_path):
    command = words("pushtasks-serve.service", tmp_path, SERVE_OPTIONS="--port 0")
    url = start(command).stdout.readline().strip()

    with urllib.request.urlopen(f"{url}/readyz", timeout=TIMEOUT) as response:  # noqa: S310
        assert response.status == 200
