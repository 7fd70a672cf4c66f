"""nginx as a sink: HTTP/2 over TLS, every push read and answered with 200 and its apns-id."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import trustme

MODULE = Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")
MISSING = "this needs nginx and its echo module: apt-get install nginx-light libnginx-mod-http-echo"
#: Seconds that nginx gets to start.
START = 5.0


class SinkError(Exception):
    """The sink cannot be had; one line that says why."""


@contextmanager
def sink(directory: Path) -> Iterator[int]:
    """Run a sink; the directory gets its files and the authority to trust, `ca.pem`.

    Yields:
        The port that it listens on.

    Raises:
        SinkError: nginx is missing or does not start.
    """
    executable = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if executable is None or not MODULE.exists():
        raise SinkError(MISSING)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(directory / "server.pem")
    port = _free_port()
    (directory / "nginx.conf").write_text(_configuration(directory, port))
    command = [executable, "-e", f"{directory}/error.log", "-c", f"{directory}/nginx.conf"]
    with subprocess.Popen(command, cwd=directory) as process:
        try:
            _wait_for(process, port)
            yield port
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    limit = time.monotonic() + START
    while process.poll() is None and time.monotonic() < limit:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    raise SinkError("nginx did not start: see what it says above")


def _configuration(directory: Path, port: int) -> str:
    user = "user root;" if os.geteuid() == 0 else ""
    return f"""
        load_module {MODULE};
        {user} daemon off; worker_processes 1; pid {directory}/pid; error_log stderr;
        events {{ worker_connections 1024; }}
        http {{
            client_body_temp_path {directory}/body; fastcgi_temp_path {directory}/fastcgi;
            proxy_temp_path {directory}/proxy; uwsgi_temp_path {directory}/uwsgi;
            scgi_temp_path {directory}/scgi;
            access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
            http2_max_concurrent_streams 1000;
            server {{
                listen 127.0.0.1:{port} ssl http2;
                ssl_certificate {directory}/server.pem; ssl_certificate_key {directory}/server.pem;
                location / {{
                    add_header apns-id $http_apns_id;
                    echo_read_request_body;
                    return 200;
                }}
            }}
        }}
    """
