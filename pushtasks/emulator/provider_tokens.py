"""Provider tokens as APNs checks them: signature, key, team and age.

Source: Apple, "Establishing a token-based connection to APNs".
"""

import base64
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from pushtasks.wire.apns_http2 import (
    PROVIDER_TOKEN_ALGORITHM,
    PROVIDER_TOKEN_MAX_AGE,
    PROVIDER_TOKEN_MIN_AGE,
)

#: Seconds that the clock of a client may be ahead.
CLOCK_SKEW: Final = 60
#: Tokens whose signature need not be verified again.
CACHE_LIMIT: Final = 1000
#: Bytes of an ES256 signature as JWS has it; everything else is taken for DER.
RAW_SIGNATURE: Final = 64
SCHEME: Final = "bearer"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What APNs knows of a signing key."""

    key_id: str
    team_id: str
    public_key: EllipticCurvePublicKey


class ProviderTokens:
    """Verifies provider tokens; what was verified once is remembered."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        #: Header → when it was issued (seconds since 1970), or None if it is not valid.
        self._issued: OrderedDict[str, float | None] = OrderedDict()

    def reason(self, authorization: str | None) -> str | None:
        """Return why a push with this header is refused, None if it is not."""
        if authorization is None:
            return "MissingProviderToken"
        if authorization not in self._issued:
            self._issued[authorization] = self._verify(authorization)
            if len(self._issued) > CACHE_LIMIT:
                self._issued.popitem(last=False)
        issued = self._issued[authorization]
        if issued is None:
            return "InvalidProviderToken"
        return "ExpiredProviderToken" if time.time() - issued > PROVIDER_TOKEN_MAX_AGE else None

    def _verify(self, authorization: str) -> float | None:
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != SCHEME:
            return None
        try:
            if jwt.get_unverified_header(encoded).get("kid") != self._key.key_id:
                return None
            claims = jwt.decode(
                _with_raw_signature(encoded),
                self._key.public_key,
                algorithms=[PROVIDER_TOKEN_ALGORITHM],
                issuer=self._key.team_id,
                leeway=CLOCK_SKEW,
                options={"require": ["iss", "iat"], "verify_exp": False, "verify_aud": False},
            )
        except (jwt.InvalidTokenError, ValueError, OverflowError):
            return None
        return float(claims["iat"])


class ConnectionTokens:
    """The provider tokens that one connection has used, since APNs limits how often they change."""

    def __init__(self) -> None:
        #: Header → when it was first used here, seconds of the monotonic clock.
        self._first_used: dict[str, float] = {}

    def knows(self, authorization: str) -> bool:
        """Return whether the header was used on this connection before."""
        return authorization in self._first_used

    def admit(self, authorization: str) -> bool:
        """Take a valid header into use; return whether that is not the second new one too soon."""
        now = time.monotonic()
        updates = list(self._first_used.values())[1:]
        if updates and now - updates[-1] < PROVIDER_TOKEN_MIN_AGE:
            return False
        self._first_used[authorization] = now
        if len(self._first_used) > 1 + PROVIDER_TOKEN_MAX_AGE // PROVIDER_TOKEN_MIN_AGE:
            del self._first_used[next(iter(self._first_used))]
        return True


def _with_raw_signature(encoded: str) -> str:
    """Return a JWT with its signature as JWS wants it; Apple's own sample signs in DER.

    Raises:
        ValueError: The signature is in neither form.
    """
    signed, _, signature = encoded.rpartition(".")
    decoded = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    if len(decoded) == RAW_SIGNATURE:
        return encoded
    r, s = decode_dss_signature(decoded)
    half = RAW_SIGNATURE // 2
    raw = r.to_bytes(half, "big") + s.to_bytes(half, "big")
    return f"{signed}.{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"
