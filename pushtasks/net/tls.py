"""Host, port, context and deadline → a connected TLS socket, for protocols that are not HTTP."""

import os
import socket
import ssl
import tempfile
from pathlib import Path
from typing import Any

import certifi

from pushtasks.errors import InvalidSettings
from pushtasks.net.deadline import Deadline


def client_context(
    certificate_pem: bytes, key_pem: bytes, ca_file: str | None = None
) -> ssl.SSLContext:
    """Return the context of a client that shows a certificate and verifies its server's.

    Args:
        certificate_pem: The certificate, then those that lead to its root.
        key_pem: Its private key, not encrypted. It is in a file of our own for as long as OpenSSL
            reads it, since OpenSSL takes it from a file only.
        ca_file: PEM of the authorities to trust; None: certifi's.

    Raises:
        InvalidSettings: `ca_file` cannot be read, or has no certificates.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file or certifi.where())
    except OSError as error:  # ssl.SSLError is one
        reason = "no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise InvalidSettings(
            f"ca_file: {ca_file} cannot be used ({reason}); give a PEM file of the authorities to"
            " trust, or leave it out"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    descriptor, name = tempfile.mkstemp(suffix=".pem")  # its mode is 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate_pem + b"\n" + key_pem)
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()
    return context


def connect(
    host: str,
    port: int,
    context: ssl.SSLContext,
    deadline: Deadline,
    *,
    server_hostname: str | None = None,
    receive_buffer: int | None = None,
) -> ssl.SSLSocket:
    """Return a connected socket whose handshake is over; its timeout is what is left.

    Nagle's algorithm is off: who writes through it collects small pieces himself.

    Args:
        host: Name or address.
        port: TCP port.
        context: As `client_context` makes it.
        deadline: For all addresses of the host together.
        server_hostname: The name that the certificate must have; None: the host.
        receive_buffer: Bytes that the kernel may keep for us and the other side may send ahead, a
            few more or less; None: as the kernel likes.

    Raises:
        OSError: The host has no address, or none that can be connected to in time, or the handshake
            failed (`ssl.SSLError`, of which a certificate that is not trusted is one).
    """
    plain = _connected(host, port, deadline, receive_buffer)
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        plain.settimeout(deadline.require("TLS handshake"))
        return context.wrap_socket(plain, server_hostname=server_hostname or host)
    except BaseException:
        plain.close()
        raise


def _connected(
    host: str, port: int, deadline: Deadline, receive_buffer: int | None
) -> socket.socket:
    """Try one address after the other; the window that TCP offers is set before it is offered.

    A host whose first address is silent, as that of a broken IPv6 is, leaves time for the others.
    """
    failure = OSError(f"{host} has no address")
    addresses = _addresses(host, port)
    for left, (family, kind, protocol, _, address) in zip(
        range(len(addresses), 0, -1), addresses, strict=True
    ):
        plain = socket.socket(family, kind, protocol)
        try:
            if receive_buffer is not None:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            plain.settimeout(deadline.require("connecting") / left)
            plain.connect(address)
        except OSError as error:
            plain.close()
            failure = error
        else:
            return plain
    raise failure


def _addresses(host: str, port: int) -> list[Any]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label is empty or too long
        raise OSError(f"{host!r} is no host name") from error


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of `host:port` or `[::1]:port`."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
