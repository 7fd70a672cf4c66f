"""The yardstick of the binary protocol: frames encoded and written in pieces, nothing awaited."""

from urllib.parse import urlsplit

from common import Job, measure, read_job

from pushtasks.apns import binary
from pushtasks.apns.payload import encode_payload
from pushtasks.net import tls
from pushtasks.net.deadline import Deadline

#: Bytes written at a time: a TLS record.
PIECE = 16_000
EXPIRATION = 2_000_000_000


class Writer:
    """One connection."""

    def __init__(self, job: Job) -> None:
        sink, identity = urlsplit(job.url), job.key_file.read_bytes()
        context = tls.client_context(identity, identity, str(job.ca_file))
        self._job = job
        self._payload = encode_payload(job.apns_payload(), 2048)
        self._socket = tls.connect(sink.hostname, sink.port, context, Deadline(5))

    def send(self, first: int, end: int) -> int:
        """Write pushes from the first to before the second number; all count as accepted."""
        written = bytearray()
        for number in range(first, end):
            token = bytes.fromhex(self._job.device_token(number))
            written += binary.encode(binary.Frame(token, self._payload, EXPIRATION), number)
            if len(written) > PIECE:
                self._socket.sendall(written)
                written.clear()
        self._socket.sendall(written)
        return end - first


if __name__ == "__main__":
    job = read_job()
    measure(job, Writer(job).send)
