"""Reads the feedback service: connects, says nothing, hands on what comes before it reads more.

What leaves the service's list for good is what its kernel has taken from it. If this process dies,
that is lost which was under way: in the service's send buffer, on the wire, in our receive buffer,
in a TLS record of which a part is read, and in the chunk in hand. All that is on our side is kept
small here: the rest waits in the service until what came before it is stored.
"""

from collections.abc import Callable
from ssl import SSLSocket
from typing import Final, NamedTuple

from pushtasks.apns.certificate import app_certificate
from pushtasks.apns.feedback import ExpiredToken, FeedbackReader
from pushtasks.config import ApnsApp
from pushtasks.net.deadline import Deadline
from pushtasks.net.tls import client_context, connect, split_address
from pushtasks.wire import apns_binary as wire

#: Bytes, some hundred records: what is read before it is stored.
CHUNK: Final = 4096
#: Bytes that the kernel receives ahead. Of 5,000 records on loopback a reader that was killed lost
#: 500 to 900, half of them in the service's buffer; with 65536, 600 to 4,000. A window of a few
#: packets costs time on a long way: 2,000 records a second come over 100 ms.
RECEIVE_BUFFER: Final = 8192


class Limits(NamedTuple):
    """How long to be patient, in seconds."""

    #: Between two pieces.
    silence: float = 30.0
    #: For the whole list, however steadily it comes.
    total: float = 1800.0


def feedback_address(app: ApnsApp) -> tuple[str, int] | None:
    """Return host and port of an app's feedback service, None if it has none.

    An app with a gateway of its own and no feedback service set has none; otherwise Apple's former
    host stands in.
    """
    if app.protocol != "binary":
        return None
    if app.feedback:
        return split_address(app.feedback)
    return None if app.gateway else (wire.FEEDBACK_HOSTS[app.environment], wire.FEEDBACK_PORT)


def read_feedback(
    app: ApnsApp,
    address: tuple[str, int],
    keep: Callable[[list[ExpiredToken]], None],
    limits: Limits | None = None,
) -> None:
    """Read an app's list to its end; reading empties it.

    Args:
        app: Whose list.
        address: Of its feedback service, as `feedback_address` returns it.
        keep: Stores records, and returns once they are stored; nothing more is read before. What it
            raises ends the reading.
        limits: How long to be patient.

    Raises:
        InvalidSettings: The certificate or `ca_file` cannot be used; nothing was opened.
        OSError: The service cannot be reached, does not accept us or falls silent.
        FeedbackProtocolError: It sends something else, or ends in the middle of a record.
    """
    host, port = address
    limits = limits or Limits()
    certificate = app_certificate(app)
    context = client_context(
        certificate.certificate_pem,
        certificate.key_pem,
        str(app.ca_file) if app.ca_file else None,
    )
    reader, deadline = FeedbackReader(), Deadline(limits.total)
    with connect(
        host,
        port,
        context,
        Deadline(app.timeout),
        server_hostname=app.feedback_hostname,
        receive_buffer=RECEIVE_BUFFER,
    ) as connection:
        while reader.error is None and (data := _receive(connection, limits, deadline)):
            if records := reader.receive_data(data):
                keep(records)
    reader.receive_eof()
    if reader.error:
        raise reader.error


def _receive(connection: SSLSocket, limits: Limits, deadline: Deadline) -> bytes:
    """Return the next piece, empty at the end."""
    too_long = f"the list does not end within {limits.total:g} s"
    connection.settimeout(min(limits.silence, deadline.require(too_long)))
    try:
        return connection.recv(CHUNK)
    except TimeoutError:
        deadline.require(too_long)
        raise TimeoutError(
            f"nothing came for {limits.silence:g} s, and the list has not ended"
        ) from None
