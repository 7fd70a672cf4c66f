"""A worker's signs of life, as a probe and systemd see them."""

import logging
import socket
import time

import pytest

from pushtasks.adapters.alive import Signs


@pytest.fixture
def notified(tmp_path):
    """A socket as systemd opens it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(10)
        listening.bind(str(tmp_path / "notify"))
        yield listening


def test_nobody_is_told_unless_somebody_asks():
    assert not Signs({"PUSHTASKS_ALIVE_FILE": ""}).are_wanted


def test_a_beat_makes_the_file_younger(tmp_path):
    file = tmp_path / "alive"
    signs = Signs({"PUSHTASKS_ALIVE_FILE": str(file)})

    signs.ready()
    first = file.stat().st_mtime_ns
    time.sleep(0.01)
    signs.beat()

    assert file.stat().st_mtime_ns > first


def test_systemd_is_told_in_its_words(notified):
    signs = Signs({"NOTIFY_SOCKET": notified.getsockname()})

    signs.ready()
    signs.beat()
    signs.stopping()

    assert [notified.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_an_abstract_socket_is_found_by_its_at_sign():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(10)
        listening.bind("")  # the kernel chooses a name
        Signs({"NOTIFY_SOCKET": "@" + listening.getsockname()[1:].decode()}).beat()

        assert listening.recv(100) == b"WATCHDOG=1"


def test_a_place_that_is_not_there_is_logged_once_and_harms_nothing(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    signs = Signs({"PUSHTASKS_ALIVE_FILE": str(tmp_path / "missing" / "alive")})

    signs.beat()
    signs.beat()

    [line] = caplog.messages
    assert line.startswith("No sign of life can be given ([Errno 2] No such file or directory:")
