"""Google's token endpoint: a signed assertion in, an access token out.

Source: Google, "Using OAuth 2.0 for server to server applications".
"""

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from pushtasks.emulator.exchange import Answer, Request, json_answer
from pushtasks.wire import fcm as wire

PATH: Final = "/token"
#: Seconds.
LIFETIME: Final = 3599
CLOCK_SKEW: Final = 60
#: Access tokens that are remembered; the oldest are forgotten.
ACCESS_TOKENS_LIMIT: Final = 10_000
SCOPES: Final = frozenset({wire.SCOPE, "https://www.googleapis.com/auth/cloud-platform"})


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """What Google knows of a service account."""

    project: str
    email: str
    key_id: str
    public_key: RSAPublicKey
    #: The address of our token endpoint.
    token_uri: str


class AccessTokens:
    """Issues access tokens and knows those that it has issued."""

    def __init__(self, account: ServiceAccount) -> None:
        self._account = account
        #: Access token → when it ends, seconds of the monotonic clock.
        self._ends: OrderedDict[str, float] = OrderedDict()

    def issue(self, request: Request) -> Answer:
        """Answer a request for an access token."""
        form = parse_qs(request.body.decode("latin-1"))
        if request.method != "POST":
            return _refused("invalid_request", "the method must be POST")
        if form.get("grant_type") != [wire.GRANT_TYPE]:
            return _refused("unsupported_grant_type", f"grant_type must be {wire.GRANT_TYPE}")
        problem = self._check(form.get("assertion", [""])[0])
        if problem is not None:
            return _refused("invalid_grant", problem)
        token = f"ya29.{secrets.token_urlsafe(48)}"
        self._ends[token] = time.monotonic() + LIFETIME
        if len(self._ends) > ACCESS_TOKENS_LIMIT:
            self._ends.popitem(last=False)
        body = {"access_token": token, "expires_in": LIFETIME, "token_type": "Bearer"}
        return json_answer(200, body)

    def problem(self, authorization: str | None) -> str | None:
        """Return the reason of google.rpc.ErrorInfo that speaks against a header, or None."""
        if not authorization:
            return "CREDENTIALS_MISSING"
        scheme, _, token = authorization.partition(" ")
        end = self._ends.get(token) if scheme.lower() == "bearer" else None
        if end is None:
            return "ACCESS_TOKEN_TYPE_UNSUPPORTED"
        return "ACCESS_TOKEN_EXPIRED" if time.monotonic() > end else None

    def _check(self, assertion: str) -> str | None:
        """Return what is wrong with an assertion, None if nothing is."""
        account = self._account
        try:
            if jwt.get_unverified_header(assertion).get("kid") not in {None, account.key_id}:
                return "the key id is not that of the service account"
            claims = jwt.decode(
                assertion,
                account.public_key,
                algorithms=["RS256"],
                audience=[account.token_uri, wire.TOKEN_URI],
                issuer=account.email,
                leeway=CLOCK_SKEW,
                options={"require": ["iss", "aud", "iat", "exp", "scope"]},
            )
        except (jwt.InvalidTokenError, ValueError, OverflowError) as error:
            return f"Invalid JWT: {error}"
        if int(claims["exp"]) > int(claims["iat"]) + wire.ASSERTION_MAX_AGE:
            return f"Invalid JWT: exp is more than {wire.ASSERTION_MAX_AGE} s after iat"
        if not SCOPES & set(str(claims["scope"]).split()):
            return f"Invalid JWT: the scope must contain {wire.SCOPE}"
        return None


def _refused(error: str, description: str) -> Answer:
    return json_answer(400, {"error": error, "error_description": description}, reason=error)
