"""Servers of every kind to meet: the pretend Apple, nginx, and raw sockets that misbehave."""

import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

import jwt
import pytest
import trustme

from pushtasks.emulator.certificates import KEY_ID, TEAM_ID, TOPIC
from pushtasks.net.http import Request
from pushtasks.net.multiplexer import Multiplexer
from pushtasks.net.origin import Origin

ECHO_MODULE = Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")


def eventually(holds, *, within=5.0):
    """Wait until something holds that no event announces."""
    limit = time.monotonic() + within
    while not (value := holds()):
        assert time.monotonic() < limit, "it did not come about in time"
        time.sleep(0.005)
    return value


@pytest.fixture
def wait_until():
    return eventually


@pytest.fixture
def multiplexer():
    multiplexer = Multiplexer()
    yield multiplexer
    multiplexer.close(drain=0)


class Apns:
    """The pretend Apple, and pushes that it accepts."""

    def __init__(self, emulator):
        self.emulator = emulator
        self.url = emulator.endpoints.apns
        self.ca_file = str(emulator.directory / "ca.pem")
        key = (emulator.directory / "apns-key.p8").read_text()
        claims = {"iss": TEAM_ID, "iat": int(time.time())}
        token = jwt.encode(claims, key, algorithm="ES256", headers={"kid": KEY_ID})
        self.headers = (f"authorization: bearer {token}", f"apns-topic: {TOPIC}")

    def origin(self, **options):
        return Origin(self.url, **{"ca_file": self.ca_file, "streams": 1000, **options})

    def push(self, number=0, **options):
        """Return a push to the device with this number."""
        return Request(
            f"/3/device/{number:064x}", b'{"aps":{"alert":"Hi"}}', self.headers, **options
        )

    def pushes(self, count, first=0):
        return [self.push(first + number) for number in range(count)]

    def fault(self, **body):
        assert self.emulator.control("POST", "/faults", {"service": "apns", **body}) == {}

    def heal(self):
        self.emulator.control("DELETE", "/faults")

    @property
    def stats(self):
        return self.emulator.control("GET", "/stats")["apns"]

    @property
    def count(self):
        """How many requests it has read to their end."""
        return self.emulator.control("GET", "/received/count")["count"]

    def devices(self):
        """Return how often a push for each device was accepted."""
        entries = self.emulator.received()
        return Counter(int(e["token"], 16) for e in entries if e["answer"]["status"] == 200)


@pytest.fixture
def apns(emulator):
    return Apns(emulator)


class Authority:
    """A certificate authority of this test run."""

    def __init__(self, directory):
        self.ca = trustme.CA()
        self.ca_file = directory / "ca.pem"
        self.ca.cert_pem.write_to_path(self.ca_file)
        self.certificate = self.ca.issue_cert("127.0.0.1", "push.example.com")
        self.certificate_file = directory / "server.pem"
        self.certificate.private_key_and_cert_chain_pem.write_to_path(self.certificate_file)

    def context(self, *hosts, alpn=("http/1.1",)):
        """Return what a TLS server needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (self.ca.issue_cert(*hosts) if hosts else self.certificate).configure_cert(context)
        context.set_alpn_protocols(list(alpn))
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


class Server:
    """Accepts connections on loopback and hands each to `serve`, in a thread of its own.

    The first `broken` connections are closed at once.
    """

    def __init__(self, serve, context=None, broken=0):
        self.accepted = 0
        self._serve = serve
        self._broken = broken
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._open = set()
        #: Set whenever a connection is over that was served.
        self.has_ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def origin(self, authority, scheme="https", **options):
        url = f"{scheme}://127.0.0.1:{self.port}"
        return Origin(url, **{"ca_file": str(authority.ca_file), **options})

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.accepted += 1
                if self.accepted <= self._broken:
                    connection.close()
                    continue
                thread = threading.Thread(target=self._handle, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _handle(self, connection):
        self._open.add(connection)
        with suppress(OSError, EOFError), ExitStack() as stack:
            stack.callback(connection.close)
            stack.callback(self._open.discard, connection)
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
                stack.enter_context(connection)
                self._open.add(connection)
                stack.callback(self._open.discard, connection)
            stack.callback(self.has_ended.set)
            self._serve(connection)

    def close(self):
        for connection in (self._listener, *self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)


@pytest.fixture
def start_server():
    """Start servers that are gone with the test."""
    with ExitStack() as stack:

        def start(serve, context=None, **options):
            server = Server(serve, context, **options)
            stack.callback(server.close)
            return server

        yield start


def read_request(stream):
    """Return the request line, headers and body of one HTTP/1.1 request."""
    line = stream.readline()
    if not line:
        raise EOFError
    headers = {}
    while (header := stream.readline().strip()) != b"":
        name, _, value = header.partition(b":")
        headers[name.decode().lower()] = value.strip()
    return line.decode().strip(), headers, stream.read(int(headers.get("content-length", 0)))


@pytest.fixture
def start_http11(start_server, authority):
    """Start a server without HTTP/2 that answers with `answer(request line, headers, body)`."""

    def start(answer, *, hangs_up=False, **options):
        def serve(connection):
            stream = connection.makefile("rb")
            while True:
                connection.sendall(answer(*read_request(stream)))
                if hangs_up:
                    return

        return start_server(serve, authority.context(), **options)

    return start


@pytest.fixture
def http_reader():
    return read_request


def require_nginx():
    """Return the path of nginx; where it is missing, skip at home and fail in CI."""
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if nginx and ECHO_MODULE.exists():
        return nginx
    missing = "needs nginx: apt-get install nginx-light libnginx-mod-http-echo"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


class Nginx:
    """A web server that says GOAWAY after every hundred requests and logs them all."""

    def __init__(self, executable, directory, authority):
        self.log = directory / "access.log"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        configuration = directory / "nginx.conf"
        configuration.write_text(f"""
            load_module {ECHO_MODULE};
            {"user root;" if os.geteuid() == 0 else ""}
            daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log;
            events {{ worker_connections 1024; }}
            http {{
                client_body_temp_path {directory}/body; fastcgi_temp_path {directory}/fastcgi;
                proxy_temp_path {directory}/proxy; uwsgi_temp_path {directory}/uwsgi;
                scgi_temp_path {directory}/scgi;
                log_format pushes '$uri $connection'; access_log {self.log} pushes;
                server {{
                    listen 127.0.0.1:{self.port} ssl http2; keepalive_requests 100;
                    ssl_certificate {authority.certificate_file};
                    ssl_certificate_key {authority.certificate_file};
                    location / {{ echo_read_request_body; return 200; }}
                }}
            }}
        """)
        command = [executable, "-e", f"{directory}/error.log", "-c", str(configuration)]
        self._process = subprocess.Popen(command, cwd=directory)  # noqa: S603
        eventually(self._listens)

    def _listens(self):
        assert self._process.poll() is None, "nginx did not start"
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
            return True

    def logged(self):
        """Return how often each path was requested, and over how many connections."""
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return Counter(path for path, _ in lines), len({connection for _, connection in lines})

    def stop(self):
        self._process.terminate()
        self._process.wait(10)


@pytest.fixture
def nginx(tmp_path, authority):
    nginx = Nginx(require_nginx(), tmp_path, authority)
    yield nginx
    nginx.stop()
