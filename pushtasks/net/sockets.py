"""What a kernel can be asked and told about a TCP connection."""

import fcntl
import os
import socket
import sys
import termios


def limit_unacknowledged(descriptor: int, seconds: float) -> None:
    """Let the kernel give a connection up whose sent bytes stay unacknowledged for so long.

    Only Linux can; elsewhere the deadlines of the requests find it out, later.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def unacknowledged(connection: socket.socket) -> int:
    """Return how many bytes the other side's kernel has not acknowledged; 0 where nobody can tell.

    Source: Linux, tcp(7), SIOCOUTQ.
    """
    if not sys.platform.startswith("linux"):
        return 0
    answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(answer, sys.byteorder)
