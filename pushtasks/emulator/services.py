"""All pretend services, and what they share."""

from typing import TYPE_CHECKING

from pushtasks.emulator.apns_http2 import ApnsService
from pushtasks.emulator.behaviour import Behaviour
from pushtasks.emulator.certificates import Credentials
from pushtasks.emulator.control import ControlService
from pushtasks.emulator.fcm import FcmService
from pushtasks.emulator.feedback import FeedbackService
from pushtasks.emulator.gateway import GatewayService
from pushtasks.emulator.gcm import GcmService
from pushtasks.emulator.google import GoogleService

if TYPE_CHECKING:
    from pushtasks.emulator.traffic import Connections


class Services:
    """One of each, with one behaviour."""

    def __init__(self, credentials: Credentials, fcm: str, received_limit: int) -> None:
        """Make them.

        Args:
            credentials: By which clients are known.
            fcm: Address of the FCM listener, `https://host:port`.
            received_limit: How many of the latest pushes are kept.
        """
        behaviour = Behaviour(received_limit)
        self.apns = ApnsService(behaviour, credentials.signing_key)
        self.gateway = GatewayService(behaviour)
        self.feedback = FeedbackService(behaviour)
        gcm = GcmService(behaviour, credentials.api_key)
        self.google = GoogleService(FcmService(behaviour, credentials.service_account(fcm)), gcm)
        watched: dict[str, Connections] = {
            "apns": self.apns.traffic,
            "gateway": self.gateway.traffic,
            "feedback": self.feedback.traffic,
            "fcm": self.google.traffic,
            "gcm": gcm.traffic,
        }
        self.control = ControlService(behaviour, watched, self.feedback)
        self.traffic = {**watched, "control": self.control.traffic}
