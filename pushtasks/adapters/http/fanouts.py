"""`/v1/fanouts`: devices as the body of a request, read as workers take them; how they fare."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

from celery import Celery
from flask import Response, jsonify, request, url_for

from pushtasks import fanout
from pushtasks.adapters.http import queries
from pushtasks.adapters.http.bodies import parsed
from pushtasks.adapters.http.problems import Problem
from pushtasks.adapters.http.state import current_service
from pushtasks.adapters.http.uploads import has_body, publishing
from pushtasks.errors import InvalidPush
from pushtasks.fanout import Fanout
from pushtasks.fanout.publishing import CHUNK
from pushtasks.store.fanout_state import CHUNK_LIMIT, OUTCOMES

#: The payload, which all devices share, as JSON.
PAYLOAD_HEADER: Final = "Push-Payload"
TEXTS: Final = ("topic", "push_type", "collapse_id", "environment")
#: What the query of a new one may have.
PARAMETERS: Final = (
    *("provider", "app", "key", "chunk"),
    *(*TEXTS, "priority", "expiration", "dry_run"),
)
ID: Final = re.compile("[0-9a-f]{12}")
PLACE: Final = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")  # Redis has 64 bits for each
#: Fan-outs, or failures of one, that are shown at the most.
LIMIT: Final = 1000


def start() -> Response:
    """Begin a fan-out, and publish it all."""
    service = current_service()
    queries.refuse_others(PARAMETERS)
    with publishing(service) as (devices, progress):
        begun = fanout.start(
            queries.required("provider"),
            devices,
            _payload(),
            app=queries.text("app") or "default",
            chunk=queries.number("chunk", CHUNK_LIMIT) or CHUNK,
            key=queries.text("key"),
            celery_app=service.celery_app,
            progress=progress,
            **_options(),
        )
    return _accepted(begun)


def resume(id_: str) -> Response:
    """Let a fan-out go on; with the same body once more, if that had not been read to the end."""
    service, found = current_service(), _existing(id_)
    with publishing(service) as (devices, progress), _conflicts():
        moved = fanout.resume(
            found.id,
            devices if has_body(request) else None,
            celery_app=service.celery_app,
            progress=progress,
        )
    return _accepted(moved)


def pause(id_: str) -> Response:
    """Hold a fan-out."""
    with _conflicts():
        return jsonify(shown(fanout.pause(_existing(id_).id, celery_app=_celery_app())))


def cancel(id_: str) -> Response:
    """End a fan-out for good."""
    with _conflicts():
        return jsonify(shown(fanout.cancel(_existing(id_).id, celery_app=_celery_app())))


def recent() -> Response:
    """Return fan-outs, the newest first."""
    found = fanout.recent(queries.number("count", LIMIT) or 20, celery_app=_celery_app())
    return jsonify({"fanouts": [shown(one) for one in found]})


def status(id_: str) -> Response:
    """Return a fan-out as it stands."""
    return jsonify(shown(_existing(id_)))


def failures(id_: str) -> Response:
    """Return what went wrong or changed with devices, a page of it."""
    after = queries.text("after")
    if after is not None and not PLACE.fullmatch(after):
        raise Problem(HTTPStatus.BAD_REQUEST, f"after: {after!r} is no `next` of a page before")
    fanouts = current_service().store().fanouts
    page = fanouts.failures(_existing(id_).id, after, queries.number("count", LIMIT) or 100)
    return jsonify({"failures": [one for _, one in page], "next": page[-1][0] if page else None})


def shown(one: Fanout) -> dict[str, Any]:
    """Return a fan-out as JSON."""
    return {
        "id": one.id,
        "provider": one.spec.provider,
        "app": one.spec.app,
        "key": one.spec.key,
        "state": one.state.value,
        "devices": one.devices,
        **{name: getattr(one, name) for name in OUTCOMES},
        "repeated": one.repeated,
        "retried": one.retried,
        "canonical_ids": one.canonical_ids,
        "failures": one.failures,
        "chunks_published": one.chunks_published,
        "chunks_done": one.chunks_done,
        "source_ended": one.source_ended,
        "has_publisher": one.has_publisher,
        "is_over": one.is_over,
        "error": one.error,
        "created_at": one.created_at.isoformat(),
        "finished_at": one.finished_at and one.finished_at.isoformat(),
        "seconds": round(one.seconds, 3),
    }


def _payload() -> Any:
    text = request.headers.get(PAYLOAD_HEADER)
    if text is None:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            f"{PAYLOAD_HEADER}: missing; give the payload as JSON in this header",
        )
    # What WSGI takes for Latin-1 may be UTF-8.
    return parsed(text.encode("latin-1", "replace").decode("utf-8", "replace"), PAYLOAD_HEADER)


def _options() -> dict[str, Any]:
    """Return what the query says of all pushes; None for what it does not."""
    return {
        **{name: queries.text(name) for name in TEXTS},
        "priority": queries.number("priority", 10),
        "expiration": queries.expiration("expiration"),
        "dry_run": queries.flag("dry_run"),
    }


def _existing(id_: str) -> Fanout:
    found = current_service().store().fanouts.find(id_) if ID.fullmatch(id_) else None
    if found is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            f"fan-out {id_[:40]!r} is not known (one is forgotten after a week)",
        )
    return fanout.status(id_, celery_app=_celery_app())


@contextmanager
def _conflicts() -> Iterator[None]:
    """Say of what a fan-out refuses that it is in the wrong state for it."""
    try:
        yield
    except InvalidPush as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from None


def _accepted(one: Fanout) -> Response:
    answer = jsonify(shown(one))
    answer.status_code = HTTPStatus.ACCEPTED
    answer.headers["Location"] = url_for(".status", id_=one.id)
    return answer


def _celery_app() -> Celery:
    return current_service().celery_app
