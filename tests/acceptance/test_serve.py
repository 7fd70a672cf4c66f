"""`pushtasks serve` before a real worker and the emulator: GoCM's calls, as its README has them."""

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests

COMMAND = str(Path(sys.executable).with_name("pushtasks"))
#: As in GoCM's README, where the shell takes the backslashes away.
MESSAGE = {
    "title": "This is the title",
    "subtitle": "This is the subtitle",
    "tickerText": "This is the ticker text",
    "datestamp": "2014-03-07T18:01:04.702100",
}


class Server:
    """A running `pushtasks serve`."""

    def __init__(self, process, url):
        self.process, self.url = process, url
        self.session = requests.Session()
        self.session.trust_env = False

    def get(self, path):
        return self.session.get(self.url + path, timeout=20)

    def post(self, path, **options):
        return self.session.post(self.url + path, timeout=60, **options)

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def report(self):
        return self.get("/gcm/report/").json()


@pytest.fixture
def serve(environ, tmp_path):
    """(arguments, variables) → a server; it is stopped with the test."""
    servers = []

    def begin(*arguments, **variables):
        process = subprocess.Popen(  # noqa: S603
            [COMMAND, "serve", "--port", "0", "--gcm-app", "classic", "--json", *arguments],
            env={**environ, **variables},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
        )
        servers.append(Server(process, json.loads(process.stdout.readline())["url"]))
        return servers[-1]

    yield begin
    for server in servers:
        server.session.close()
        server.process.terminate()
        assert server.process.wait(20) in {0, -9}
        server.process.stdout.close()


@pytest.fixture
def settled(wait_until):
    """(server) → its report, once nothing pends."""

    def wait(server):
        wait_until(lambda: server.report()["pending"] == 0, 40)
        return server.report()

    return wait


def curl(server, body):
    """Send the bytes that `curl -d` sends, and return those that come back."""
    host, port = server.url.removeprefix("http://").split(":")
    data = body.encode()
    head = (
        f"POST /gcm/send HTTP/1.1\r\nUser-Agent: curl/7.35.0\r\nHost: localhost:{port}\r\n"
        f"Accept: */*\r\nContent-Length: {len(data)}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(head.encode() + data)
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").read().decode()


def test_gocms_documented_calls_work_unchanged(serve, start_worker, emulator, settled):
    emulator.control("PUT", "/tokens/gone", {"reason": "NotRegistered"})
    emulator.control("PUT", "/tokens/old", {"canonical_id": "new"})
    start_worker("-P", "threads", "-c", "8")
    server = serve()

    shown = curl(server, f"tokens=gone&tokens=old&payload={json.dumps(MESSAGE)}")
    data = {"token": ["device"], "payload": json.dumps(MESSAGE)}
    answer = server.post("/gcm/send", data=data)

    status, _, rest = shown.partition("\r\n")
    assert status == "HTTP/1.1 200 OK"
    assert "Content-Type: text/html\r\n" in rest
    assert "Content-Length: 3\r\n" in rest
    assert rest.endswith("\r\n\r\nok\n")
    assert (answer.status_code, answer.text) == (200, "ok\n")
    assert settled(server) == {
        "attempts": 3,
        "failures": 1,
        "pending": 0,
        "canonicals": 1,
        "notregistered": 1,
    }
    replacements = [{"original": "old", "canonical": "new"}]
    assert server.get("/gcm/report/canonical").json() == {"canonical_replacements": replacements}
    assert server.get("/gcm/report/canonical").text == '{"canonical_replacements":null}'
    assert server.get("/gcm/report/notregistered").json() == {"tokens": ["gone"]}
    assert server.get("/gcm/report/notregistered").text == '{"tokens":null}'
    payloads = {entry["token"]: entry["payload"] for entry in emulator.received()}
    assert payloads == {token: {"data": MESSAGE} for token in ("gone", "old", "device")}


def test_nothing_is_lost_when_servers_die_before_their_results_come(
    serve, start_worker, emulator, settled
):
    emulator.control("PUT", "/tokens/gone", {"reason": "NotRegistered"})
    first, second = serve(), serve()
    threads = [threading.Thread(target=send_some, args=(server, 20)) for server in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    first.kill()
    second.kill()
    start_worker("-P", "threads", "-c", "8")
    third = serve()
    report = settled(third)

    assert (report["attempts"], report["failures"], report["notregistered"]) == (80, 40, 40)
    assert third.get("/gcm/report/notregistered").json() == {"tokens": ["gone"] * 40}
    assert emulator.control("GET", "/received/count")["count"] == 80


def send_some(server, count):
    for _ in range(count):
        data = {"tokens": ["gone", "device"], "payload": '{"a": "b"}'}
        assert server.post("/gcm/send", data=data).text == "ok\n"


def test_a_push_as_json_has_its_result_under_its_id(serve, start_worker, emulator, wait_until):
    emulator.control("PUT", f"/tokens/{'0a' * 32}", {"reason": "Unregistered", "timestamp": 1})
    start_worker("-P", "threads", "-c", "8")
    server = serve()

    entries = [{"token": "0a" * 32, "payload": "Hi"}, {"token": "x", "payload": "Hi"}]
    answer = server.post("/v1/apns", json=entries).json()

    [task] = answer["tasks"]
    assert [one["index"] for one in answer["errors"]] == [1]
    wait_until(lambda: server.get(task["url"]).json()["state"] == "SUCCESS")
    result = server.get(task["url"]).json()["result"]
    assert (result["outcome"], result["action"]) == ("rejected", "drop_token")
    assert server.get("/v1/report").json()["apns"]["default"]["attempts"] == 1


def test_a_streamed_fan_out_is_sent_to_the_last_device(
    serve, start_worker, emulator, wait_until, report
):
    count = 20_000
    start_worker("-P", "threads", "-c", "8")
    server = serve()
    body = (f"{number:064x}\n".encode() for number in range(count))

    with report("devices of an HTTP body", count):
        headers = {"Push-Payload": '{"aps": {"alert": "Hi"}}', "Content-Type": "text/plain"}
        answer = server.post("/v1/fanouts?provider=apns", data=body, headers=headers)
        address = answer.headers["Location"]
        wait_until(lambda: server.get(address).json()["is_over"], 60)

    done = server.get(address).json()
    assert answer.status_code == 202
    assert (done["devices"], done["accepted"], done["state"]) == (count, count, "finished")
    assert emulator.control("GET", "/received/count")["count"] == count


def test_a_fan_out_that_was_cut_off_goes_on_with_the_same_body(
    serve, start_worker, emulator, wait_until
):
    """Without a worker its publisher waits; then its server dies, and one with workers goes on."""
    count, query = 3000, "provider=apns&chunk=10"
    lines = b"".join(b"%064x\n" % number for number in range(count))
    headers = {"Push-Payload": '"Hi"', "Content-Type": "text/plain"}
    first = serve()

    def send():
        with pytest.raises(requests.ConnectionError):
            requests.post(
                f"{first.url}/v1/fanouts?{query}", data=lines, headers=headers, timeout=60
            )

    thread = threading.Thread(target=send)
    thread.start()
    wait_until(lambda: [it for it in listed(first) if it["chunks_published"] == 100])
    first.kill()
    thread.join(10)
    start_worker("-P", "threads", "-c", "8")
    second = serve()
    [cut] = listed(second)

    answer = second.post(f"/v1/fanouts/{cut['id']}/resume", data=lines, headers=headers)

    assert answer.status_code == 202, answer.text
    wait_until(lambda: listed(second)[0]["is_over"], 60)
    assert (listed(second)[0]["devices"], listed(second)[0]["accepted"]) == (count, count)
    assert emulator.control("GET", "/received/count")["count"] == count


def listed(server):
    return server.get("/v1/fanouts").json()["fanouts"]


def test_gunicorn_or_any_server_of_wsgi_serves_the_same(environ, tmp_path, start_worker):
    """Werkzeug's own stands for them: it hands bodies on as they come, and forks nothing."""
    code = (
        "from werkzeug.serving import make_server\n"
        "from pushtasks.adapters.http.wsgi import app\n"
        "server = make_server('127.0.0.1', 0, app, threaded=True)\n"
        "print(server.port, flush=True)\n"
        "server.serve_forever()\n"
    )
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code],
        env={**environ, "PUSHTASKS_SERVE_WITHOUT_KEYS": "1", "PUSHTASKS_SERVE_GCM_APP": "classic"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    server = Server(process, f"http://127.0.0.1:{process.stdout.readline().strip()}")
    try:
        assert server.get("/readyz").json()["status"] == "ready"
        data = {"tokens": "a", "payload": "{}"}
        assert server.post("/gcm/send", data=data).text == "ok\n"
        headers = {"Push-Payload": '"Hi"', "Content-Type": "text/plain"}
        answer = server.post("/v1/fanouts?provider=apns", data=b"00ff\n" * 3, headers=headers)
        assert (answer.status_code, answer.json()["devices"]) == (202, 3)
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()
        server.session.close()
