"""The TLS side of the listeners: who may connect, and which HTTP is spoken then."""

import asyncio
import ssl
from pathlib import Path

from trustme import CA


def server_context(
    ca: CA, host: str, *protocols: str, ca_file: Path | None = None
) -> ssl.SSLContext:
    """Return the context of a listener, TLS 1.2 or later, with a certificate for this host.

    Args:
        ca: Issues the certificate.
        host: The address or name that clients connect to; loopback is covered beside it.
        protocols: What ALPN offers, the preferred first; without any, no ALPN.
        ca_file: PEM of the authority whose client certificates are taken, though not asked for.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    names = {"localhost", "127.0.0.1", "::1", host}
    ca.issue_cert(*sorted(names)).configure_cert(context)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if ca_file is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(ca_file)
    return context


def classic_context(ca: CA, host: str, ca_file: Path) -> ssl.SSLContext:
    """Return the context of a service of 2014, which demands a client certificate.

    TLS 1.2, as in those days: with 1.3, a client learns only after its handshake that its
    certificate is refused, and one that never reads can lose what it sent last.
    """
    context = server_context(ca, host, ca_file=ca_file)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def certificate_topic(transport: asyncio.BaseTransport) -> str | None:
    """Return the UID in the subject of the client's certificate, None if it showed none."""
    certificate = transport.get_extra_info("peercert") or {}
    for names in certificate.get("subject", ()):
        for kind, text in names:
            if kind in {"UID", "userId"}:
                return str(text)
    return None


def chosen_protocol(transport: asyncio.BaseTransport) -> str | None:
    """Return what ALPN agreed on, None if the client offered nothing."""
    connection = transport.get_extra_info("ssl_object")
    chosen: str | None = connection.selected_alpn_protocol()
    return chosen
