"""A binary gateway that reads and throws away, and so accepts everything by its silence."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from suite.contract import Sink

from pushtasks.emulator import certificates
from sinks import SinkError

PROCESS = Path(__file__).with_name("gateway_process.py")


@contextmanager
def gateway(directory: Path) -> Iterator[Sink]:
    """Run one in a process of its own; the directory gets its keys and the client's.

    Raises:
        SinkError: It does not start.
    """
    credentials = certificates.prepare(directory)
    certificate = credentials.ca.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(directory / "server.pem")
    client = credentials.ca.issue_cert("client.example.com")
    client.private_key_and_cert_chain_pem.write_to_path(directory / "identity.pem")
    command = [sys.executable, str(PROCESS), str(directory / "server.pem")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            port = process.stdout.readline().strip()
            if not port:
                raise SinkError("the gateway did not start: see what it says above")
            yield Sink(
                url=f"tls://127.0.0.1:{port}",
                ca_file=directory / certificates.CA_FILE,
                key_file=directory / "identity.pem",
            )
        finally:
            process.terminate()
