import json
import os
import socket
import ssl
import stat
import threading
import tomllib

import pytest

from pushtasks.emulator import Emulator, EmulatorError

FILES = {
    "apns-key.p8",
    "ca-key.pem",
    "ca.pem",
    "client-key.pem",
    "client.pem",
    "endpoints.json",
    "gcm-api-key",
    "pushtasks.toml",
    "service-account.json",
}
PRIVATE = {
    "apns-key.p8",
    "ca-key.pem",
    "client-key.pem",
    "gcm-api-key",
    "pushtasks.toml",
    "service-account.json",
}


def test_all_files_are_there_once_it_has_started(tmp_path):
    with Emulator(tmp_path / "new") as emulator:
        assert {path.name for path in (tmp_path / "new").iterdir()} == FILES
        endpoints = json.loads((tmp_path / "new" / "endpoints.json").read_text())
        assert endpoints == emulator.endpoints.to_dict()
        assert endpoints.keys() == {"apns", "gateway", "feedback", "fcm", "gcm", "control"}


def test_private_files_are_for_their_owner_only(tmp_path):
    with Emulator(tmp_path):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert {name for name, mode in modes.items() if mode == 0o600} == PRIVATE


def test_settings_name_the_listeners_and_files_that_exist(tmp_path):
    with Emulator(tmp_path) as emulator:
        settings = tomllib.loads((tmp_path / "pushtasks.toml").read_text())
    apns, fcm = settings["apns"]["default"], settings["gcm"]["default"]
    assert apns["server"] == emulator.endpoints.apns
    assert fcm["server"] == emulator.endpoints.fcm
    for path in (apns["key"], apns["ca_file"], fcm["credentials"], fcm["ca_file"]):
        assert (tmp_path / path).is_file()


def test_settings_name_the_services_of_2014_too(tmp_path):
    with Emulator(tmp_path) as emulator:
        settings = tomllib.loads((tmp_path / "pushtasks.toml").read_text())
    apns, gcm = settings["apns"]["classic"], settings["gcm"]["classic"]
    assert apns["protocol"] == "binary"
    assert apns["gateway"] == emulator.endpoints.gateway
    assert apns["feedback"] == emulator.endpoints.feedback
    assert gcm["protocol"] == "legacy"
    assert gcm["server"] == emulator.endpoints.gcm == emulator.endpoints.fcm + "/gcm/send"
    assert gcm["api_key"] == (tmp_path / "gcm-api-key").read_text().strip()
    for path in (apns["certificate"], apns["certificate_key"], apns["ca_file"], gcm["ca_file"]):
        assert (tmp_path / path).is_file()


def test_ports_of_the_services_of_2014_can_be_chosen(tmp_path):
    with Emulator(tmp_path) as first:
        chosen = {
            f"{name}_port": int(getattr(first.endpoints, name).rpartition(":")[2])
            for name in ("gateway", "feedback")
        }
    with Emulator(tmp_path, **chosen) as again:
        assert again.endpoints.gateway == first.endpoints.gateway
        assert again.endpoints.feedback == first.endpoints.feedback


def test_token_uri_is_the_fcm_listener(tmp_path):
    with Emulator(tmp_path) as emulator:
        account = json.loads((tmp_path / "service-account.json").read_text())
    assert account["token_uri"] == emulator.endpoints.fcm + "/token"


def test_a_second_run_uses_the_keys_of_the_first(tmp_path):
    kept = sorted(FILES - {"endpoints.json", "pushtasks.toml", "service-account.json"})

    def contents():
        key = json.loads((tmp_path / "service-account.json").read_text())["private_key"]
        return [key, *((tmp_path / name).read_text() for name in kept)]

    with Emulator(tmp_path):
        first = contents()
    with Emulator(tmp_path):
        assert contents() == first


def test_an_emulator_can_start_again_on_its_port(tmp_path):
    emulator = Emulator(tmp_path)
    port = int(emulator.start().apns.rpartition(":")[2])
    emulator.stop()
    with Emulator(tmp_path, apns_port=port) as again:
        assert again.endpoints.apns.endswith(f":{port}")


def test_a_taken_port_is_named_in_one_line(tmp_path):
    with Emulator(tmp_path / "first") as first:
        port = int(first.endpoints.fcm.rpartition(":")[2])
        second = Emulator(tmp_path / "second", fcm_port=port)
        with pytest.raises(EmulatorError, match=rf"^port {port} of 127.0.0.1 is taken") as caught:
            second.start()
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "second" / "endpoints.json").exists()


@pytest.mark.parametrize("port", [-1, 65536])
def test_an_impossible_port_is_refused(tmp_path, port):
    with pytest.raises(EmulatorError, match="control port"):
        Emulator(tmp_path, control_port=port).start()


def test_a_host_that_is_not_ours_is_refused(tmp_path):
    with pytest.raises(EmulatorError, match=r"apns cannot listen on 192\.0\.2\.1, port 0"):
        Emulator(tmp_path, host="192.0.2.1").start()


def test_a_directory_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EmulatorError, match="cannot be used"):
        Emulator(tmp_path / "file" / "directory").start()


@pytest.mark.parametrize(
    "name", ["ca-key.pem", "apns-key.p8", "service-account.json", "gcm-api-key"]
)
def test_a_broken_key_file_is_refused(tmp_path, name):
    with Emulator(tmp_path):
        pass
    (tmp_path / name).write_text("{}")
    with pytest.raises(EmulatorError, match="broken key or certificate"):
        Emulator(tmp_path).start()


def test_stopping_ends_the_thread_and_may_be_repeated(tmp_path):
    before = set(threading.enumerate())  # of other tests, some of which end meanwhile
    emulator = Emulator(tmp_path)
    emulator.start()
    [started] = set(threading.enumerate()) - before
    emulator.stop()
    emulator.stop()
    assert not started.is_alive()
    assert not (tmp_path / "endpoints.json").exists()


def test_starting_twice_is_refused(tmp_path):
    with Emulator(tmp_path) as emulator, pytest.raises(EmulatorError, match="runs already"):
        emulator.start()


def drain(connected):
    while connected.recv(4096):
        pass


def test_stopping_breaks_the_connections_that_are_open(tmp_path):
    with Emulator(tmp_path) as emulator:
        host, port = emulator.endpoints.apns.removeprefix("https://").split(":")
        context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        with (
            socket.create_connection((host, int(port)), timeout=5) as plain,
            socket.socket(fileno=os.dup(plain.fileno())) as same,
            context.wrap_socket(plain, server_hostname=host) as connected,
        ):
            assert connected.recv(9)
            emulator.stop()
            with pytest.raises(ConnectionResetError):
                drain(same)
