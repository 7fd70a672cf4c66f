"""FCM and GCM behind one address: the path decides."""

from typing import Final

from pushtasks.emulator.exchange import Answer, Request
from pushtasks.emulator.faults import ServiceFaults
from pushtasks.emulator.fcm import FcmService
from pushtasks.emulator.gcm import GcmService
from pushtasks.wire import gcm as wire

#: The path that settings name; every other of `wire.PATHS` is as good.
GCM_PATH: Final = "/gcm/send"


class GoogleService:
    """Hands each request to the service that it is for; connections are FCM's."""

    def __init__(self, fcm: FcmService, gcm: GcmService) -> None:
        self.faults = fcm.faults
        self.traffic = fcm.traffic
        self.streams = fcm.streams
        self._fcm = fcm
        self._gcm = gcm

    def session(self, certificate_topic: str | None) -> "GoogleService":  # noqa: ARG002
        """Begin a connection, of which nothing is remembered."""
        return self

    def faults_at(self, path: str) -> ServiceFaults:
        """Return what goes wrong at the service whose path it is."""
        return self._service(path).faults

    def answer(self, request: Request) -> Answer:
        """Judge one request."""
        return self._service(request.path).answer(request)

    def _service(self, path: str) -> FcmService | GcmService:
        return self._gcm if path in wire.PATHS else self._fcm
