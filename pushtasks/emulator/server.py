"""Starts the pretend providers in a thread of their own, and stops them."""

import asyncio
import errno
import socket
import threading
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from pushtasks.emulator import certificates as certs
from pushtasks.emulator.apns_http2 import ApnsService
from pushtasks.emulator.behaviour import Behaviour
from pushtasks.emulator.control import ControlService
from pushtasks.emulator.exchange import Service
from pushtasks.emulator.fcm import FcmService
from pushtasks.emulator.files import (
    ENDPOINTS_FILE,
    EmulatorError,
    Endpoints,
    write_endpoints,
    write_settings,
)
from pushtasks.emulator.http2 import Http2Connection
from pushtasks.emulator.http11 import Http11Connection
from pushtasks.emulator.received import LIMIT
from pushtasks.emulator.tls import chosen_protocol, server_context

if TYPE_CHECKING:
    from pushtasks.emulator.connection import BaseConnection

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
            fcm_port: Port of FCM and of the OAuth token endpoint.
            control_port: Port of the control API.
            received_limit: How many of the latest pushes `/received` keeps.
        """
        self.directory = Path(directory)
        self._host = host
        self._ports = {"apns": apns_port, "fcm": fcm_port, "control": control_port}
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
        except OSError as error:
            problem = f"{self.directory} cannot be used ({error}): choose another directory"
            started.set_exception(EmulatorError(problem))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _serve(self, started: "Future[Endpoints]", stop: "Future[None]") -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        endpoints_file = self.directory / ENDPOINTS_FILE
        endpoints_file.unlink(missing_ok=True)
        credentials = certs.prepare(self.directory)
        with ExitStack() as stack:
            sockets = {
                name: stack.enter_context(_bind(name, self._host, port))
                for name, port in self._ports.items()
            }
            endpoints = self._endpoints(sockets)
            services = _services(credentials, endpoints, self._received_limit)
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
            fcm=f"https://{host}:{ports['fcm']}",
            control=f"http://{host}:{ports['control']}",
        )

    async def _listen(
        self,
        credentials: certs.Credentials,
        services: dict[str, Service],
        sockets: dict[str, socket.socket],
    ) -> list[asyncio.Server]:
        ca, ca_file = credentials.ca, self.directory / certs.CA_FILE
        contexts = {
            "apns": server_context(ca, self._host, "h2", ca_file=ca_file),
            "fcm": server_context(ca, self._host, "h2", "http/1.1"),
            "control": None,
        }
        protocols: dict[str, type[BaseConnection | _EitherConnection]] = {
            "apns": Http2Connection,
            "fcm": _EitherConnection,
            "control": Http11Connection,
        }
        loop = asyncio.get_running_loop()
        return [
            await loop.create_server(
                lambda name=name: protocols[name](services[name]),
                sock=bound,
                ssl=contexts[name],
                backlog=BACKLOG,
            )
            for name, bound in sockets.items()
        ]

    def _write_files(self, credentials: certs.Credentials, endpoints: Endpoints) -> None:
        certs.write_service_account(self.directory, credentials.account_key, endpoints.fcm)
        write_settings(
            self.directory,
            {
                "apns.default": {
                    "topic": certs.TOPIC,
                    "key": certs.APNS_KEY_FILE,
                    "key_id": certs.KEY_ID,
                    "team_id": certs.TEAM_ID,
                    "server": endpoints.apns,
                    "ca_file": certs.CA_FILE,
                },
                "gcm.default": {
                    "credentials": certs.ACCOUNT_FILE,
                    "server": endpoints.fcm,
                    "ca_file": certs.CA_FILE,
                },
            },
        )
        write_endpoints(self.directory, endpoints)


class _EitherConnection(asyncio.Protocol):
    """A connection of which ALPN has yet to say whether it speaks HTTP/2."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand over to the protocol that was agreed on."""
        is_http2 = chosen_protocol(transport) == "h2"
        protocol = (Http2Connection if is_http2 else Http11Connection)(self._service)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


def _bind(name: str, host: str, port: int) -> socket.socket:
    """Return a socket that is ready to listen."""
    if port not in range(65536):
        raise EmulatorError(f"the {name} port must be from 0 to 65535, not {port}")
    try:
        return _bound_socket(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise EmulatorError(
                f"port {port} of {host} is taken: choose another {name} port, or 0 for a free one"
            ) from None
        raise EmulatorError(f"{name} cannot listen on {host}, port {port}: {error}") from None


def _bound_socket(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    # Named in full: asyncio sets TCP_NODELAY only on what says that it is TCP.
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _services(
    credentials: certs.Credentials, endpoints: Endpoints, received_limit: int
) -> dict[str, Service]:
    behaviour = Behaviour(received_limit)
    apns = ApnsService(behaviour, credentials.signing_key)
    account = credentials.service_account(endpoints.fcm)
    fcm = FcmService(behaviour, account)
    control = ControlService(behaviour, {"apns": apns.traffic, "fcm": fcm.traffic})
    return {"apns": apns, "fcm": fcm, "control": control}


async def _shut_down(servers: list[asyncio.Server], services: dict[str, Service]) -> None:
    for server in servers:
        server.close()
    for service in services.values():
        for connection in list(service.traffic.connections):
            connection.abort()
    await asyncio.sleep(0)  # asyncio tells connections of their end one turn later
