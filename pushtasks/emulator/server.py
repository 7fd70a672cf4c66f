"""Starts the pretend providers in a thread of their own, and stops them."""

import asyncio
import socket
import threading
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from pushtasks.emulator import certificates as certs
from pushtasks.emulator.apns_gateway import GatewayConnection
from pushtasks.emulator.files import (
    ENDPOINTS_FILE,
    EmulatorError,
    Endpoints,
    write_endpoints,
    write_settings,
)
from pushtasks.emulator.google import GCM_PATH
from pushtasks.emulator.http2 import Http2Connection
from pushtasks.emulator.http11 import Http11Connection
from pushtasks.emulator.listeners import FEEDBACK_BUFFER, EitherConnection, UnbufferedFeedback, bind
from pushtasks.emulator.received import LIMIT
from pushtasks.emulator.services import Services
from pushtasks.emulator.tls import classic_context, server_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

#: Connections that may wait to be accepted.
BACKLOG: Final = 1024


class Emulator:
    """A pretend Apple and Google on loopback, in a thread of its own with its own event loop.

    A context manager: entering starts it, leaving stops it.
    """

    #: Where the services listen, once it is started.
    endpoints: Endpoints

    def __init__(
        self,
        directory: Path,
        *,
        host: str = "127.0.0.1",
        apns_port: int = 0,
        gateway_port: int = 0,
        feedback_port: int = 0,
        fcm_port: int = 0,
        control_port: int = 0,
        received_limit: int = LIMIT,
    ) -> None:
        """Prepare an emulator; nothing happens before `start`.

        Args:
            directory: Where keys, certificates, settings and `endpoints.json` are written; made if
                it is missing. Keys and certificates of an earlier run are used again.
            host: Address or name to listen on, which also stands in all URLs.
            apns_port: Port of APNs; 0 is any free one, as with the others.
            gateway_port: Port of APNs' binary gateway.
            feedback_port: Port of APNs' feedback service.
            fcm_port: Port of FCM, of the OAuth token endpoint and of GCM.
            control_port: Port of the control API.
            received_limit: How many of the latest pushes `/received` keeps.
        """
        self.directory = Path(directory)
        self._host = host
        self._ports = {
            "apns": apns_port,
            "gateway": gateway_port,
            "feedback": feedback_port,
            "fcm": fcm_port,
            "control": control_port,
        }
        self._received_limit = received_limit
        self._thread: threading.Thread | None = None
        self._stop: Future[None] = Future()

    def start(self) -> Endpoints:
        """Start; return once everything listens and all files are written.

        Raises:
            EmulatorError: A port is taken, the directory cannot be used, or it runs already.
        """
        if self._thread is not None:
            raise EmulatorError(f"the emulator in {self.directory} runs already: stop it first")
        started: Future[Endpoints] = Future()
        self._stop = Future()
        self._thread = threading.Thread(
            target=self._run, args=(started, self._stop), name="pushtasks-emulator", daemon=True
        )
        self._thread.start()
        try:
            self.endpoints = started.result()
        except BaseException:
            self.stop()
            raise
        return self.endpoints

    def stop(self) -> None:
        """Break all connections and end the thread; harmless if it does not run."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set_result(None)
            thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, started: "Future[Endpoints]", stop: "Future[None]") -> None:
        """Be the thread: whatever goes wrong before all is ready is for `start` to raise."""
        try:
            asyncio.run(self._serve(started, stop))
        except BaseException as error:
            if started.done():
                raise
            if isinstance(error, OSError):
                problem = f"{self.directory} cannot be used ({error}): choose another directory"
                error = EmulatorError(problem)
            started.set_exception(error)

    async def _serve(self, started: "Future[Endpoints]", stop: "Future[None]") -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        endpoints_file = self.directory / ENDPOINTS_FILE
        endpoints_file.unlink(missing_ok=True)
        credentials = certs.prepare(self.directory)
        with ExitStack() as stack:
            sockets = {
                name: stack.enter_context(bind(name, self._host, port))
                for name, port in self._ports.items()
            }
            endpoints = self._endpoints(sockets)
            services = Services(credentials, endpoints.fcm, self._received_limit)
            servers = await self._listen(credentials, services, sockets)
            self._write_files(credentials, endpoints)
            stack.callback(endpoints_file.unlink, missing_ok=True)
            started.set_result(endpoints)
            await asyncio.wrap_future(stop)
            await _shut_down(servers, services)

    def _endpoints(self, sockets: dict[str, socket.socket]) -> Endpoints:
        host = f"[{self._host}]" if ":" in self._host else self._host
        ports = {name: bound.getsockname()[1] for name, bound in sockets.items()}
        return Endpoints(
            apns=f"https://{host}:{ports['apns']}",
            gateway=f"{host}:{ports['gateway']}",
            feedback=f"{host}:{ports['feedback']}",
            fcm=f"https://{host}:{ports['fcm']}",
            gcm=f"https://{host}:{ports['fcm']}{GCM_PATH}",
            control=f"http://{host}:{ports['control']}",
        )

    async def _listen(
        self,
        credentials: certs.Credentials,
        services: Services,
        sockets: dict[str, socket.socket],
    ) -> list[asyncio.Server]:
        ca, ca_file = credentials.ca, self.directory / certs.CA_FILE
        classic = classic_context(ca, self._host, ca_file)
        contexts: dict[str, ssl.SSLContext | None] = {
            "apns": server_context(ca, self._host, "h2", ca_file=ca_file),
            "gateway": classic,
            "fcm": server_context(ca, self._host, "h2", "http/1.1"),
        }
        protocols: dict[str, Callable[[], asyncio.Protocol]] = {
            "apns": lambda: Http2Connection(services.apns),
            "gateway": lambda: GatewayConnection(services.gateway),
            "feedback": lambda: UnbufferedFeedback(services.feedback, classic),
            "fcm": lambda: EitherConnection(services.google),
            "control": lambda: Http11Connection(services.control),
        }
        sockets["feedback"].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, FEEDBACK_BUFFER)
        loop = asyncio.get_running_loop()
        return [
            await loop.create_server(
                protocols[name], sock=bound, ssl=contexts.get(name), backlog=BACKLOG
            )
            for name, bound in sockets.items()
        ]

    def _write_files(self, credentials: certs.Credentials, endpoints: Endpoints) -> None:
        certs.write_service_account(self.directory, credentials.account_key, endpoints.fcm)
        write_settings(self.directory, certs.settings(endpoints, credentials.api_key))
        write_endpoints(self.directory, endpoints)


async def _shut_down(servers: list[asyncio.Server], services: Services) -> None:
    for server in servers:
        server.close()
    for seen in services.traffic.values():
        for connection in list(seen.connections):
            connection.abort()
    await asyncio.sleep(0)  # asyncio tells connections of their end one turn later
