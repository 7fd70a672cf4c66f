import json
import signal
import socket

import pytest

from pushtasks.adapters.cli.control import Control


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_until_a_signal_and_ends_well(number, start, tmp_path):
    process, said = start("emulator", "--dir", "providers")

    assert Control(said["control"]).received() == []
    assert json.loads((tmp_path / "providers/endpoints.json").read_text())["apns"] == said["apns"]
    process.send_signal(number)
    assert process.communicate(timeout=10) == ("", "")
    assert process.returncode == 0
    assert not (tmp_path / "providers/endpoints.json").exists()


def test_ctrl_c_ends_it_and_the_way_to_use_it_was_told(terminal, tmp_path):
    running = terminal("emulator", "--dir", "providers", columns=200)
    running.read_until("Ctrl-C stops it.")
    running.type("\x03")

    assert running.wait() == 0
    assert f"export PUSHTASKS_CONFIG={tmp_path / 'providers/pushtasks.toml'}" in running.text


def test_a_taken_port_is_named(pushtasks):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = pushtasks("emulator", "--dir", "providers", "--apns-port", port)

    assert ran.status == 1
    assert ran.error.startswith(f"port {port} of 127.0.0.1 is taken: choose another apns port")


def test_a_folder_that_cannot_be_made_is_named(pushtasks):
    ran = pushtasks("emulator", "--dir", "/dev/null/providers")

    assert ran.status == 1
    assert "/dev/null/providers cannot be used" in ran.error
