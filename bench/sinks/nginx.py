"""nginx as a sink: HTTP/2 over TLS, each push answered with 200 and its apns-id.

It reads pushes and looks at nothing but the path: device tokens that begin with `dead` are answered
with 410. It also stands for FCM and for the server that hands out Google's access tokens. Each
behaviour has a port of its own.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from suite.contract import Sink

from pushtasks.emulator import certificates
from sinks import Behaviour, SinkError

MODULE = Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")
MISSING = (
    "nginx or its echo module is missing: apt-get install nginx-light libnginx-mod-http-echo, or"
    " choose --sink emulator"
)
#: Seconds that nginx gets to start.
START = 5.0
#: Requests of a connection that stays.
FOR_EVER = 1_000_000_000


@contextmanager
def sinks(directory: Path, behaviours: Iterable[Behaviour]) -> Iterator[Mapping[Behaviour, Sink]]:
    """Run a sink for each behaviour; the directory gets its files and keys.

    Raises:
        SinkError: nginx is missing or does not start.
    """
    executable = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if executable is None or not MODULE.exists():
        raise SinkError(MISSING)
    credentials = certificates.prepare(directory)
    certificate = credentials.ca.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(directory / "server.pem")
    made = {}
    for behaviour in behaviours:
        url = f"https://127.0.0.1:{free_port()}"
        account = directory / url.rpartition(":")[2]
        account.mkdir()
        certificates.write_service_account(account, credentials.account_key, url)
        made[behaviour] = _sink(directory, account, url)
    (directory / "nginx.conf").write_text(_configuration(directory, made))
    command = [executable, "-e", f"{directory}/error.log", "-c", f"{directory}/nginx.conf"]
    with subprocess.Popen(command, cwd=directory) as process:
        try:
            for sink in made.values():
                _wait_for(process, int(sink.url.rpartition(":")[2]))
            yield made
        finally:
            process.terminate()


def free_port() -> int:
    """Return a port of this machine that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _sink(directory: Path, account: Path, url: str) -> Sink:
    return Sink(
        url=url,
        fcm_url=url,
        ca_file=directory / certificates.CA_FILE,
        key_file=directory / certificates.APNS_KEY_FILE,
        key_id=certificates.KEY_ID,
        team_id=certificates.TEAM_ID,
        service_account=account / certificates.ACCOUNT_FILE,
    )


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    limit = time.monotonic() + START
    while process.poll() is None and time.monotonic() < limit:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    raise SinkError("nginx did not start: see what it says above")


def _configuration(directory: Path, made: Mapping[Behaviour, Sink]) -> str:
    user = "user root;" if os.geteuid() == 0 else ""
    servers = "".join(_server(directory, *one) for one in made.items())
    return f"""
        load_module {MODULE};
        {user} daemon off; worker_processes 1; pid {directory}/pid; error_log stderr;
        events {{ worker_connections 4096; }}
        http {{
            client_body_temp_path {directory}/body; fastcgi_temp_path {directory}/fastcgi;
            proxy_temp_path {directory}/proxy; uwsgi_temp_path {directory}/uwsgi;
            scgi_temp_path {directory}/scgi;
            access_log off; keepalive_timeout 1h; http2_max_concurrent_streams 1000;
            {servers}
        }}
    """


def _server(directory: Path, behaviour: Behaviour, sink: Sink) -> str:
    return f"""
        server {{
            listen {sink.url.removeprefix("https://")} ssl http2;
            ssl_certificate {directory}/server.pem; ssl_certificate_key {directory}/server.pem;
            keepalive_requests {behaviour.goaway_every or FOR_EVER};
            default_type application/json;
            location / {{ {_go_to("@accepted", behaviour)} }}
            location @accepted {{
                add_header apns-id $http_apns_id;
                return 200;
            }}
            location /3/device/dead {{
                add_header apns-id $http_apns_id always;
                return 410 '{{"reason":"Unregistered","timestamp":1700000000000}}';
            }}
            location /v1/projects/ {{ {_go_to("@sent", behaviour)} }}
            location @sent {{
                return 200 '{{"name":"projects/bench/messages/1"}}';
            }}
            location = /token {{
                return 200 '{{"access_token":"x","expires_in":3599,"token_type":"Bearer"}}';
            }}
        }}
    """


def _go_to(answer: str, behaviour: Behaviour) -> str:
    sleep = f"echo_sleep {behaviour.delay:.3f};" if behaviour.delay else ""
    return f"echo_read_request_body; {sleep} echo_exec {answer};"
