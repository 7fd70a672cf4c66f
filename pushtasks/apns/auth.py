"""Who we are to APNs: the bearer of a provider token, or the owner of a client certificate.

A signing key gives the provider token, which is the same in every process.
APNs wants a team's token renewed between every 20 and every 60 minutes and punishes a connection
on which new ones keep turning up, so many processes must not each make their own. Here none of
them has to talk to another: time is cut into slots of 40 minutes, the token says that it was
issued when its slot began, and the signature is the deterministic one of RFC 6979. Equal claims
and equal keys give equal bytes, in each process and after each restart.

A slot is entered a minute late: to a provider whose clock is a little behind ours its token would
otherwise come from the future. By our clock a token in use is thus 1 to 41 minutes old.

Source: Apple, "Establishing a token-based connection to APNs".
"""

import json
import re
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from pushtasks import observers
from pushtasks.apns.certificate import ClientCertificate, load_certificate
from pushtasks.errors import InvalidSettings
from pushtasks.keyfiles import load_private_key
from pushtasks.observers import ProviderTokenMade
from pushtasks.wire import apns_http2 as wire

__all__ = ["ClientCertificate", "ProviderToken", "load_certificate"]

#: Seconds.
SLOT: Final = 40 * 60
#: Seconds that the provider's clock may be behind ours.
CLOCK_MARGIN: Final = 60
#: Seconds. Processes that renew a rejected token within the same minute agree.
RENEWAL_STEP: Final = 60

_COORDINATE_BYTES: Final = 32
_IDENTIFIER: Final = re.compile(rf"[A-Za-z0-9]{{{wire.KEY_ID_LENGTH}}}")


class _Signed(NamedTuple):
    """A token, and between which readings of our clock it is the one to use."""

    authorization: str
    kept_from: float
    kept_until: float
    issued_at: int


class ProviderToken:
    """The JWT that one team's key signs; may be used by any number of threads.

    A clock that steps back by up to 20 minutes does not bring back the token of an earlier slot;
    one that steps further was wrong before, and the token of the slot that it now shows is used:
    still the one that every other process has at that time, not another one for each step.

    Args:
        key_pem: The `.p8` file: an EC P-256 private key in PKCS#8, PEM or DER, not encrypted.
        key_id: Its 10 characters.
        team_id: Its 10 characters.
        clock: Seconds since 1970.

    Raises:
        InvalidSettings: The key is another kind of key or none, or an id is no such id.
    """

    def __init__(
        self,
        key_pem: bytes,
        key_id: str,
        team_id: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = _signing_key(key_pem)
        self._key_id = _identifier("key_id", key_id, "is shown beside the key")
        self._team_id = _identifier("team_id", team_id, "is shown on the membership page")
        self._clock = clock
        self._lock = threading.Lock()
        self._current = self._of_slot(clock())

    def __repr__(self) -> str:
        return f"<ProviderToken of key {self._key_id}, team {self._team_id}>"

    def authorization(self) -> str:
        """Return the value of the `authorization` header, `bearer …`."""
        value, kept_from, kept_until, _ = self._current
        if kept_from <= self._clock() < kept_until:
            return value
        return self._of_another_slot()

    def renew(self, rejected: str) -> None:
        """Have a younger token after APNs called one `ExpiredProviderToken`.

        APNs says so of a token that by our clock is 41 minutes old at most if our clock is behind.
        The new one is issued now, by the minute, and kept until the next slot and for at least 20
        minutes. Nothing happens if the rejected one is no longer in use, or younger than the 20
        minutes that APNs wants between two tokens.

        Args:
            rejected: The value of the header that was refused.
        """
        with self._lock:
            current, now = self._current, self._clock()
            age = now - current.issued_at
            if rejected != current.authorization or age < wire.PROVIDER_TOKEN_MIN_AGE:
                return
            issued_at = int(now // RENEWAL_STEP) * RENEWAL_STEP
            until = max(_slot_end(now), issued_at + wire.PROVIDER_TOKEN_MIN_AGE)
            self._current = self._signed(issued_at, until)

    def _of_another_slot(self) -> str:
        with self._lock:
            now = self._clock()
            if not self._current.kept_from <= now < self._current.kept_until:
                self._current = self._of_slot(now)
            return self._current.authorization

    def _of_slot(self, now: float) -> _Signed:
        end = _slot_end(now)
        return self._signed(end - CLOCK_MARGIN - SLOT, end)

    def _signed(self, issued_at: int, kept_until: float) -> _Signed:
        header = {"alg": wire.PROVIDER_TOKEN_ALGORITHM, "kid": self._key_id}
        claims = {"iss": self._team_id, "iat": issued_at}
        signed = f"{_base64url_json(header)}.{_base64url_json(claims)}"
        der = self._key.sign(signed.encode(), ec.ECDSA(SHA256(), deterministic_signing=True))
        signature = b"".join(
            number.to_bytes(_COORDINATE_BYTES) for number in decode_dss_signature(der)
        )
        if observers.registered:
            observers.tell(ProviderTokenMade(self._team_id, self._key_id, issued_at))
        return _Signed(
            f"bearer {signed}.{_base64url(signature)}",
            issued_at - wire.PROVIDER_TOKEN_MIN_AGE,
            kept_until,
            issued_at,
        )


def _slot_end(now: float) -> int:
    """Return the reading of our clock at which the next slot's token takes over."""
    return int((now - CLOCK_MARGIN) // SLOT + 1) * SLOT + CLOCK_MARGIN


def _signing_key(key_pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_private_key(key_pem, setting="key")
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        kind = type(key).__name__.removesuffix("PrivateKey")
    elif not isinstance(key.curve, ec.SECP256R1):
        kind = key.curve.name
    else:
        return key
    raise InvalidSettings(
        f"key is of the kind {kind}: APNs takes EC P-256 only; give the .p8 file that Apple's "
        "developer account made for push notifications"
    )


def _identifier(name: str, value: object, where: str) -> str:
    if isinstance(value, str) and _IDENTIFIER.fullmatch(value):
        return value
    raise InvalidSettings(
        f"{name} {value!r}: it must be the {wire.KEY_ID_LENGTH} letters and digits that Apple "
        f"gave; it {where} in the developer account"
    )


def _base64url_json(value: Mapping[str, object]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()
