"""Who may pass: whoever has an API key, if any are set."""

from typing import Final

from flask import Request, Response, request

from pushtasks.adapters.http.state import current_service

#: Views that say nothing worth a key; their names within the blueprint.
OPEN: Final = frozenset({"healthz", "readyz", "openapi"})


def admit() -> Response | None:
    """Let a request pass (None), or answer it."""
    keys = current_service().options.api_keys
    if not keys or _view_name(request) in OPEN:
        return None
    key = presented_key(request)
    if key is None or keys.name_of(key) is None:
        return Response(
            "an API key is needed: send it as  Authorization: Bearer KEY\n",
            status=401,
            headers={"WWW-Authenticate": 'Basic realm="pushtasks", charset="UTF-8"'},
            content_type="text/plain; charset=utf-8",
        )
    return None


def presented_key(asking: Request) -> str | None:
    """Return the key that a request brings: a bearer's, `X-API-Key`, or a password."""
    authorization = asking.authorization
    if authorization is not None and authorization.type == "bearer":
        return authorization.token
    if authorization is not None and authorization.type == "basic":
        return authorization.password
    return asking.headers.get("X-API-Key")


def _view_name(asking: Request) -> str:
    return (asking.endpoint or "").rpartition(".")[2]
