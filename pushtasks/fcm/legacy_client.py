"""Sends messages of one app by GCM or the FCM legacy protocol, over kept-alive HTTP."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Final, Protocol

from pushtasks.config import GcmApp
from pushtasks.errors import InvalidSettings
from pushtasks.fcm import legacy, legacy_text
from pushtasks.fcm.legacy import Call, Push
from pushtasks.fcm.legacy_message import LegacyMessage
from pushtasks.net.http import Answer, Response, Unanswered
from pushtasks.net.http1 import Http1Session
from pushtasks.net.watch import Tell
from pushtasks.results import Verdict
from pushtasks.wire import gcm as wire

#: Calls in a row without an answer after which the others wait for the next try.
PATIENCE: Final = 3
#: HTTP statuses that are about the server. 500 is none: in plain text it may be about one device.
BUSY: Final = frozenset({429, 503})


class Form(Protocol):
    """What the modules of both forms have."""

    def message(self, payload: object, *, dry_run: bool) -> LegacyMessage:
        """Check everything of a message but its target."""

    def push(self, message: LegacyMessage, value: object) -> Push:
        """Return the push of a message to a target."""

    def calls(self, pushes: Sequence[Push]) -> Iterator[Call]:
        """Put pushes into calls."""

    def read(self, call: Call, answer: Answer) -> list[Verdict]:
        """Return what became of each push of a call."""


FORMS: Final[Mapping[str, tuple[Form, str]]] = MappingProxyType(
    {"json": (legacy, wire.JSON_TYPE), "text": (legacy_text, wire.FORM_TYPE)}
)


class LegacyClient:
    """One app, of one process."""

    def __init__(self, app: GcmApp) -> None:
        """Open nothing yet.

        Raises:
            InvalidSettings: The API key or `ca_file` cannot be used.
        """
        self._form, content_type = FORMS[app.form]
        #: Where messages are posted to.
        self.url = app.server or wire.URL
        self._session = Http1Session(
            self.url,
            {
                "Authorization": wire.AUTHORIZATION.format(api_key=_api_key(app)),
                "Content-Type": content_type,
            },
            ca_file=_ca_file(app),
            proxy=app.proxy.get_secret_value() if app.proxy else None,
            timeout=app.timeout,
        )

    def message(
        self,
        payload: object,
        *,
        dry_run: bool,
        now: datetime,  # noqa: ARG002 - the legacy protocol counts from when it is asked
    ) -> Callable[[object], Push]:
        """Return what makes the push of a message to a target: see `Sender`."""
        return partial(self._form.push, self._form.message(payload, dry_run=dry_run))

    def send(self, pushes: Sequence[Push], *, watch: Tell | None = None) -> list[Verdict]:  # noqa: ARG002
        """Send messages, one call after the other, and return what becomes of each, in order.

        Where a server has failed three calls in a row, or asks to wait, it is left alone: what has
        not been sent by then is to be tried again.

        Args:
            pushes: As the functions make them that `message` returns.
            watch: Is told nothing: a request is answered as a whole.
        """
        verdicts: dict[int, Verdict] = {}
        unanswered = 0
        for call in self._form.calls(pushes):
            answer = self._session.post(call.body)
            verdicts.update(zip(call.places, self._form.read(call, answer), strict=True))
            unanswered = unanswered + 1 if isinstance(answer, Unanswered) else 0
            if unanswered == PATIENCE or _asks_to_wait(answer):
                break
        if len(verdicts) == len(pushes):
            return [verdicts[place] for place in range(len(pushes))]
        left = _left_alone(answer)
        return [verdicts.get(place, left) for place in range(len(pushes))]

    def probe(self) -> Answer:
        """Ask the server what it says to a message for nobody.

        One that knows the API key answers 400, or 200 with an error; one that does not, 401.
        """
        return self._session.post(b"{}")

    def close(self, _drain: float) -> None:
        """Close the connections that are idle; the others close with their exchange."""
        self._session.close()


def _asks_to_wait(answer: Answer) -> bool:
    """Tell whether a server has said of itself, and of no message, when to come back."""
    return isinstance(answer, Response) and answer.status in BUSY and bool(answer.retry_after)


def _left_alone(last: Answer) -> Verdict:
    """Return what became of pushes that were not even tried after the last answer."""
    if isinstance(last, Unanswered):
        return Verdict(None, f"not sent after {PATIENCE} calls without an answer: {last.reason}")
    return Verdict(
        None, f"not sent after HTTP {last.status} with Retry-After", retry_after=last.retry_after
    )


def _api_key(app: GcmApp) -> str:
    key = app.api_key.get_secret_value() if app.api_key else ""
    if not key.isascii() or not key.isprintable() or " " in key or not key:
        raise InvalidSettings(
            f"gcm.{app.name}.api_key: must be visible ASCII characters; copy it again, without"
            " spaces and line ends"
        )
    return key


def _ca_file(app: GcmApp) -> str | None:
    if app.ca_file is not None and not app.ca_file.is_file():
        raise InvalidSettings(
            f"gcm.{app.name}.ca_file: {app.ca_file} is no file; give a PEM file of the authorities"
            " to trust, or leave it out"
        )
    return str(app.ca_file) if app.ca_file else None
