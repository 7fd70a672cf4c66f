import base64
import json
import select
import socket
import socketserver
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pushtasks.errors import InvalidSettings
from pushtasks.fcm.auth import AccessToken, TokenUnavailable

LONG = 20.0


@pytest.fixture
def access_token(service_account, ca_file):
    return AccessToken(service_account, ca_file=ca_file)


def until(condition):
    """Call until it gives something true, and return that."""
    deadline = time.monotonic() + LONG
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.005)
    pytest.fail("it did not come true in time")


# Getting a token ------------------------------------------------------------------------------


def test_a_token_is_fetched_with_a_signed_assertion(access_token, token_server):
    assert access_token.authorization(LONG) == "Bearer token-1"
    assert access_token.project_id == "my-project"
    [claims] = token_server.claims
    assert claims["scope"] == "https://www.googleapis.com/auth/firebase.messaging"
    assert claims["exp"] - claims["iat"] == 3600


def test_nothing_is_fetched_and_no_thread_started_before_it_is_needed(
    service_account, ca_file, token_server
):
    threads = threading.active_count()
    AccessToken(service_account, ca_file=ca_file)
    assert threading.active_count() == threads
    assert token_server.fetches == 0


def test_a_system_without_a_thread_to_spare_is_asked_again_for_one(access_token, token_server):
    before = threading.stack_size(2**46)
    try:
        with pytest.raises(TokenUnavailable, match=r"^no access token: can't start new thread$"):
            access_token.authorization(LONG)
    finally:
        threading.stack_size(before)
    assert access_token.authorization(LONG) == "Bearer token-1"


def test_a_good_token_is_given_without_waiting(access_token, token_server):
    access_token.authorization(LONG)
    assert {access_token.authorization(0) for _ in range(100)} == {"Bearer token-1"}
    assert token_server.fetches == 1


def test_many_threads_at_once_make_one_fetch(access_token, token_server):
    token_server.gate.clear()
    start = threading.Barrier(21)

    def ask():
        start.wait(LONG)
        return access_token.authorization(LONG)

    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(ask) for _ in range(20)]
        start.wait(LONG)
        assert token_server.arrived.wait(LONG)
        token_server.gate.set()
        assert {each.result() for each in asked} == {"Bearer token-1"}
    assert token_server.fetches == 1


def test_a_key_whose_newlines_an_environment_variable_escaped_is_good(service_account, ca_file):
    escaped = service_account["private_key"].replace("\n", "\\n")
    token = AccessToken({**service_account, "private_key": escaped}, ca_file=ca_file)
    assert token.authorization(LONG) == "Bearer token-1"


def test_a_token_that_ends_at_once_serves_those_who_waited_for_it(access_token, token_server):
    token_server.expires_in = 0
    assert access_token.authorization(LONG) == "Bearer token-1"
    assert access_token.authorization(LONG) == "Bearer token-2"


@pytest.mark.parametrize("missing", [True, False])
def test_a_token_without_a_stated_life_lasts(missing, access_token, token_server):
    token = {"access_token": "lasting"} | ({} if missing else {"expires_in": "3600"})
    token_server.answer = 200, json.dumps(token).encode()
    assert access_token.authorization(LONG) == "Bearer lasting"
    assert access_token.authorization(0) == "Bearer lasting"


# Renewal --------------------------------------------------------------------------------------


def test_a_token_near_its_end_is_renewed_in_the_background_while_the_old_one_serves(
    access_token, token_server
):
    token_server.expires_in = 6  # so that it is to be renewed after 3 s
    access_token.authorization(LONG)
    token_server.gate.clear()
    token_server.arrived.clear()
    assert until(lambda: access_token.authorization(0) and token_server.arrived.is_set())
    with ThreadPoolExecutor(10) as pool:
        served = list(pool.map(access_token.authorization, [0] * 100))
    assert set(served) == {"Bearer token-1"}
    assert token_server.fetches == 2
    token_server.gate.set()
    until(lambda: access_token.authorization(0) == "Bearer token-2")


def test_a_renewal_that_fails_is_not_tried_again_at_once(access_token, token_server):
    token_server.expires_in = 4
    access_token.authorization(LONG)
    token_server.answer = 503, b""
    token_server.arrived.clear()
    until(lambda: access_token.authorization(0) and token_server.arrived.is_set())
    until(lambda: "pushtasks-access-token" not in {each.name for each in threading.enumerate()})
    assert {access_token.authorization(0) for _ in range(100)} == {"Bearer token-1"}
    assert token_server.fetches == 2


def test_a_rejected_token_is_fetched_anew_once_however_many_say_so(access_token, token_server):
    rejected = access_token.authorization(LONG)

    def renewed():
        access_token.renew(rejected)
        return access_token.authorization(LONG)

    with ThreadPoolExecutor(20) as pool:
        tokens = [each.result() for each in [pool.submit(renewed) for _ in range(50)]]
    assert set(tokens) == {"Bearer token-2"}
    assert token_server.fetches == 2


def test_a_rejection_of_an_older_token_changes_nothing(access_token, token_server):
    access_token.authorization(LONG)
    access_token.renew("Bearer token-0")
    assert access_token.authorization(0) == "Bearer token-1"


# Trouble --------------------------------------------------------------------------------------


def refused(access_token, error, timeout=LONG):
    with pytest.raises(error) as caught:
        access_token.authorization(timeout)
    assert str(caught.value).isprintable()
    assert type(caught.value)(*caught.value.args).args == caught.value.args
    return str(caught.value)


def test_a_refused_service_account_is_a_matter_of_settings(access_token, token_server):
    token_server.answer = (
        400,
        b'{"error": "invalid_grant", "error_description": "Invalid JWT\\n \\u0007Signature."}',
    )
    said = refused(access_token, InvalidSettings)
    assert "invalid_grant: Invalid JWT Signature." in said
    assert "clock" in said
    assert "sender@my-project" in said


@pytest.mark.parametrize("status", [302, 404, 408, 429, 500, 502, 503])
def test_a_token_server_in_trouble_is_named_by_its_status_at_once(
    status, access_token, token_server
):
    token_server.answer = status, b"<html>"
    assert f"HTTP {status}" in refused(access_token, TokenUnavailable)
    assert token_server.fetches == 1


@pytest.mark.parametrize(
    "answer",
    [
        (200, b""),
        (200, b"<html>"),
        (200, b"\xff\xfe"),
        (200, b"null"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"access_token": 5}'),
        (200, b'{"access_token": "a\\r\\nx-other: b"}'),
        (200, b'{"access_token": "a", "expires_in": "soon"}'),
        (200, b'{"access_token": "a", "expires_in": 1e300}'),
        (200, b"[" * 100_000),
        (400, b"<html>"),
        (403, b"\xff"),
        (401, b"[]"),
    ],
)
def test_an_odd_answer_of_the_token_server_is_no_token(answer, access_token, token_server):
    token_server.answer = answer
    assert "no access token from 127.0.0.1" in refused(access_token, TokenUnavailable)
    token_server.answer = None
    assert access_token.authorization(LONG) == "Bearer token-2"


def test_all_who_wait_hear_of_the_trouble(access_token, token_server):
    token_server.gate.clear()
    token_server.answer = 503, b""
    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(access_token.authorization, LONG) for _ in range(10)]
        assert token_server.arrived.wait(LONG)
        token_server.gate.set()
        errors = [each.exception() for each in asked]
    assert {type(each) for each in errors} == {TokenUnavailable}
    assert len(set(map(id, errors))) == 10


def test_a_stalled_token_server_keeps_nobody_longer_than_they_said(access_token, token_server):
    token_server.gate.clear()
    started = time.monotonic()
    assert "within 0.2 s" in refused(access_token, TokenUnavailable, timeout=0.2)
    assert time.monotonic() - started < 5


def test_a_fetch_has_a_time_limit_of_its_own(service_account, ca_file, token_server):
    token_server.gate.clear()
    access_token = AccessToken(service_account, ca_file=ca_file, timeout=0.2)
    assert "no answer within 0.2 s" in refused(access_token, TokenUnavailable)


def test_a_fetch_without_end_is_given_up_for_another(service_account, ca_file, token_server):
    access_token = AccessToken(service_account, ca_file=ca_file, timeout=0.2)
    over = threading.Event()

    def drops():
        while not over.wait(0.05):
            yield b" "

    token_server.answer = 200, drops()
    refused(access_token, TokenUnavailable, timeout=0.1)
    token_server.answer = None

    def second_token():
        try:
            return access_token.authorization(0.1)
        except TokenUnavailable:
            return None

    assert until(second_token) == "Bearer token-2"
    over.set()


def test_a_token_server_with_the_wrong_certificate_is_not_talked_to(
    service_account, token_server, tmp_path
):
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    access_token = AccessToken(service_account, ca_file=str(other))
    assert "certificate" in refused(access_token, TokenUnavailable)
    assert token_server.fetches == 0


def test_without_a_ca_file_only_public_certificates_count(
    service_account, ca_file, token_server, monkeypatch
):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca_file)
    assert "certificate" in refused(AccessToken(service_account), TokenUnavailable)
    assert token_server.fetches == 0


def test_a_ca_file_that_is_not_there_is_named(service_account):
    access_token = AccessToken(service_account, ca_file="/nowhere/ca.pem")
    assert "/nowhere/ca.pem" in refused(access_token, InvalidSettings)


def test_a_token_server_that_is_not_there_is_named(service_account, ca_file):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    service_account["token_uri"] = f"https://127.0.0.1:{port}/token"
    said = refused(AccessToken(service_account, ca_file=ca_file), TokenUnavailable)
    assert f"127.0.0.1:{port}: Connection refused" in said


# Proxies --------------------------------------------------------------------------------------


class ConnectProxy(socketserver.ThreadingTCPServer):
    """Passes CONNECT on for those who know the password."""

    daemon_threads = True

    def __init__(self, credentials):
        super().__init__(("127.0.0.1", 0), ConnectHandler)
        self.expected = b"Basic " + base64.b64encode(credentials.encode())
        self.tunnels = 0


class ConnectHandler(socketserver.StreamRequestHandler):
    def handle(self):
        address = self.rfile.readline().split()[1].decode()
        headers = dict(line.strip().split(b": ", 1) for line in iter(self.rfile.readline, b"\r\n"))
        if headers.get(b"Proxy-Authorization") != self.server.expected:
            self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.server.tunnels += 1
        host, port = address.split(":")
        with socket.create_connection((host, int(port))) as far:
            ends = {far: self.connection, self.connection: far}
            while all(map(self.passed_on, *zip(*self.ready(ends), strict=True))):
                pass

    def ready(self, ends):
        return [(end, ends[end]) for end in select.select(list(ends), [], [])[0]]

    def passed_on(self, source, sink):
        received = source.recv(65536)
        sink.sendall(received)
        return received


@pytest.fixture
def proxy():
    with ConnectProxy("user:password") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_proxy_with_a_password_is_used(service_account, ca_file, proxy):
    address = f"http://user:password@127.0.0.1:{proxy.server_address[1]}"
    access_token = AccessToken(service_account, ca_file=ca_file, proxy=address)
    assert access_token.authorization(LONG) == "Bearer token-1"
    assert proxy.tunnels == 1


def test_a_proxy_that_refuses_is_named_without_its_password(service_account, ca_file, proxy):
    address = f"http://user:wrong-secret@127.0.0.1:{proxy.server_address[1]}"
    access_token = AccessToken(service_account, ca_file=ca_file, proxy=address)
    said = refused(access_token, TokenUnavailable)
    assert "the proxy" in said
    assert "secret" not in said


def test_the_proxy_of_the_environment_is_not_used(access_token, proxy, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_address[1]}")
    assert access_token.authorization(LONG) == "Bearer token-1"
    assert proxy.tunnels == 0


def test_a_socks_proxy_without_pysocks_is_refused_with_the_way_out(service_account, monkeypatch):
    monkeypatch.setitem(sys.modules, "socks", None)
    with pytest.raises(InvalidSettings, match="pip install PySocks") as caught:
        AccessToken(service_account, proxy="socks5h://user:secret@127.0.0.1:1080")
    assert "secret" not in str(caught.value)


# Settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["project_id", "client_email", "private_key", "token_uri"])
@pytest.mark.parametrize("value", [None, "", 5])
def test_a_missing_field_is_named(field, value, service_account):
    with pytest.raises(InvalidSettings, match=f"{field} missing"):
        AccessToken({**service_account, field: value})


def pem(key, password=None):
    encryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    ).decode()


def test_a_private_key_that_cannot_be_used_is_named_but_not_shown(service_account, private_key):
    whole = service_account["private_key"]
    broken = [
        ("no PEM", "secret"),
        ("no PEM", whole[:400]),
        ("no PEM", pem(private_key, b"password")),
        ("no RSA", pem(ec.generate_private_key(ec.SECP256R1()))),
    ]
    for rule, key in broken:
        with pytest.raises(InvalidSettings) as caught:
            AccessToken({**service_account, "private_key": key})
        assert f"private_key is {rule}" in str(caught.value)
        assert "secret" not in str(caught.value)
        assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_token_server_without_tls_is_refused(service_account):
    with pytest.raises(InvalidSettings, match="'http://localhost/token' is no https://"):
        AccessToken({**service_account, "token_uri": "http://localhost/token"})


def test_a_repr_shows_no_secret(access_token):
    access_token.authorization(LONG)
    assert repr(access_token) == "<AccessToken of my-project>"


# gevent ---------------------------------------------------------------------------------------

GREENLETS = """
from gevent import monkey; monkey.patch_all()
import json, sys, gevent
from pushtasks.fcm.auth import AccessToken

token = AccessToken(json.loads(sys.argv[1]), ca_file=sys.argv[2])
asked = [gevent.spawn(token.authorization, 20) for _ in range(10)]
gevent.sleep(0.05)
print("not blocked", flush=True)
gevent.joinall(asked, raise_error=True)
print({each.value for each in asked})
"""


def test_greenlets_go_on_while_a_token_is_fetched(service_account, ca_file, token_server):
    token_server.gate.clear()
    arguments = [sys.executable, "-c", GREENLETS, json.dumps(service_account), ca_file]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout.readline() == "not blocked\n"
        assert token_server.arrived.wait(LONG)
        token_server.gate.set()
        assert process.communicate(timeout=LONG)[0] == "{'Bearer token-1'}\n"
    assert token_server.fetches == 1
