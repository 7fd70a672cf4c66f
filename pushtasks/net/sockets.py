"""What can be asked of a socket that belongs to libcurl: only its descriptor is known here."""

import os
import socket


def limit_unacknowledged(descriptor: int, seconds: float) -> None:
    """Let the kernel give a connection up whose sent bytes stay unacknowledged for so long.

    Only Linux can; elsewhere the deadlines of the requests find it out, later.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))
