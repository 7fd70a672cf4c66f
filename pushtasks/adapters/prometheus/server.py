"""A small HTTP server that answers with metrics, in a thread of its own."""

import logging
import socket
import sys
import threading
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

logger = logging.getLogger(__name__)

#: Seconds for a client to ask, and to take its answer.
TIMEOUT: Final = 10.0


class _Handler(WSGIRequestHandler):
    timeout = TIMEOUT

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        logger.debug(format, *args)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False
    #: Connections that wait to be taken up.
    request_queue_size = 16

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        logger.debug("A request for metrics by %s failed: %r", client_address, sys.exception())


class MetricsServer:
    """Serves the metrics of a registry until it is closed."""

    def __init__(self, registry: CollectorRegistry, addresses: Iterable[tuple[str, int]]) -> None:
        """Listen at the first address that is free.

        Args:
            registry: What to serve.
            addresses: Host and port, at least one; port 0 is any that is free.

        Raises:
            OSError: None of them is free.
        """
        self._server = _first_free(addresses)
        self._server.set_app(make_wsgi_app(registry))
        host, port = self._server.server_address[:2]
        shown = f"[{host!s}]" if ":" in str(host) else str(host)
        #: Where it is.
        self.url = f"http://{shown}:{port}/metrics"
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="pushtasks-metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def forget(self) -> None:
        """Leave the address to the process that this one was forked from."""
        self._server.socket.close()


def _first_free(addresses: Iterable[tuple[str, int]]) -> _Server:
    problem = OSError("no address to listen on")
    for host, port in addresses:
        try:
            return _Server(host, port)
        except OSError as error:
            problem = error
    raise problem
