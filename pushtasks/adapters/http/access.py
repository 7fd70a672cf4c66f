"""Who may pass: the checks of a request before any view sees it.

1. The name by which the service was called: a web page elsewhere can have its own name lead to this
   machine (DNS rebinding), and then its visitor's browser reaches even what listens on loopback.
2. Where a request that changes something comes from: a page elsewhere can have a browser send a
   form, with the browser's own password for us (CSRF).
3. The API key, if any are set.
4. How many requests the caller makes.
"""

import math
from http import HTTPStatus
from typing import Final

from flask import request
from werkzeug.datastructures import Authorization

from pushtasks.adapters.http.problems import Problem
from pushtasks.adapters.http.state import current_service

#: Views that say nothing worth a key; their names within the blueprint.
OPEN: Final = frozenset({"healthz", "readyz", "openapi"})
#: Views that change something all the same, by a method that is said not to.
EMPTYING: Final = frozenset({"canonical", "notregistered"})
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: What browsers say of a request that no other site has a part in.
OWN_SITES: Final = frozenset({"same-origin", "none"})


def admit() -> None:
    """Let a request pass.

    Raises:
        Problem: It may not.
    """
    service = current_service()
    view = (request.endpoint or "").rpartition(".")[2]
    if view in OPEN:
        return
    _require_known_host(service.options.hosts)
    if request.method not in SAFE_METHODS or view in EMPTYING:
        _require_own_origin()
    keys = service.options.api_keys
    key = presented_key(request.authorization, request.headers.get("X-API-Key"))
    name = _require_key(keys.name_of(key)) if keys else None
    _require_patience(service.limiter.wait_for(name or request.remote_addr or ""))


def presented_key(authorization: Authorization | None, header: str | None) -> str:
    """Return the key that a request brings: a bearer's, a password, or `X-API-Key`; or ""."""
    if authorization is not None and authorization.type == "bearer":
        return authorization.token or ""
    if authorization is not None and authorization.type == "basic":
        return authorization.password or ""
    return header or ""


def host_name(host: str) -> str:
    """Return the name in a `Host` header, without the port, in lower case."""
    name = host.rpartition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return name.lower()


def _require_known_host(names: tuple[str, ...]) -> None:
    if names and host_name(request.host) not in names:
        raise Problem(
            HTTPStatus.MISDIRECTED_REQUEST,
            f"host {request.host!r} is none that this service is known by; call it as"
            f" {names[0]}, or start it with --allowed-host",
        )


def _require_own_origin() -> None:
    origin = request.headers.get("Origin")
    if origin is not None:
        is_own = origin.partition("://")[2].lower() == request.host.lower()
    else:
        is_own = request.headers.get("Sec-Fetch-Site", "none") in OWN_SITES
    if not is_own:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "this comes from another web site; if it does not, have the proxy in front hand on the"
            " Host header as it came",
        )


def _require_key(name: str | None) -> str:
    if name is None:
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "an API key is needed, as Authorization: Bearer KEY, as X-API-Key: KEY, or as the"
            " password of HTTP Basic; make one with  pushtasks serve --new-key",
            headers={"WWW-Authenticate": 'Basic realm="pushtasks", charset="UTF-8"'},
        )
    return name


def _require_patience(seconds: float) -> None:
    if seconds:
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"too many requests; try again in {seconds:.1f} s",
            headers={"Retry-After": str(math.ceil(seconds))},
        )
