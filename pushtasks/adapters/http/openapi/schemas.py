"""What the bodies of requests and answers look like, in JSON Schema."""

from collections.abc import Iterable
from typing import Any, Final

from pushtasks.results import Action, Outcome
from pushtasks.store.fanout_state import State

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """Return a reference to a schema of `ALL`."""
    return {"$ref": f"#/components/schemas/{name}"}


def text(least: int = 0, most: int | None = None) -> Schema:
    """Return the schema of a text of so many characters."""
    limits = {"minLength": least or None, "maxLength": most}
    return {"type": "string", **{name: limit for name, limit in limits.items() if limit}}


def listed(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def _or_null(kind: str) -> Schema:
    return {"type": [kind, "null"]}


def _object(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
    }


def _closed(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {**_object(required, optional), "additionalProperties": False}


def _all(names: Iterable[str], schema: Schema) -> dict[str, Schema]:
    return dict.fromkeys(names, schema)


NUMBER: Final[Schema] = {"type": "integer"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
FLAG: Final[Schema] = {"type": "boolean"}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
TASK_ID: Final[Schema] = {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"}
FANOUT_ID: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{12}$"}
PLACE: Final[Schema] = {"type": "string", "pattern": "^[0-9]{1,20}-[0-9]{1,20}$"}
PAGE: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 1000}
DEVICE_TOKEN: Final[Schema] = {"type": "string", "pattern": "^([0-9a-fA-F]{2})+$"}

_APNS_OPTIONS: Final[dict[str, Schema]] = {
    "app": text(1),
    "topic": text(1),
    "push_type": text(1),
    "priority": {"type": "integer", "enum": [1, 5, 10]},
    "expiration": {"type": ["number", "string"], "description": "Seconds from now, or a time."},
    "collapse_id": text(1, 64),
    "apns_id": {"type": "string", "format": "uuid"},
    "environment": {"type": "string", "enum": ["production", "sandbox"]},
}
_APNS_ENTRY: Final[Schema] = {
    "anyOf": [
        DEVICE_TOKEN,
        {"type": "array", "prefixItems": [DEVICE_TOKEN, {"type": "object"}], "minItems": 2},
    ]
}
_TARGET: Final[Schema] = {
    "anyOf": [
        text(1),
        {
            "type": "object",
            "description": "One of topic, condition, fid, notification_key.",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": text(1),
        },
    ]
}

_DEVICE: Final = _object(
    {
        "version": COUNT,
        "provider": {"type": ["string", "null"], "enum": ["apns", "gcm", None]},
        "app": text(),
        "token": text(),
        "outcome": {"type": "string", "enum": [*(one.value for one in Outcome), "invalid"]},
        "status": _or_null("integer"),
        "reason": _or_null("string"),
        "action": {"type": "string", "enum": [one.value for one in Action]},
        "message_id": _or_null("string"),
        "canonical_id": _or_null("string"),
        "dead_since": _or_null("string"),
    }
)

_COUNTERS: Final = _object(
    {
        **_all(("attempts", "accepted"), NUMBER),
        "rejected": {"type": "object", "additionalProperties": {"type": "integer"}},
        **_all(
            ("not_sent", "maybe_sent", "pending", "canonical_ids", "late", "dead_tokens", "held"),
            NUMBER,
        ),
    }
)

_FANOUT: Final = _object(
    {
        "id": FANOUT_ID,
        "provider": {"type": "string", "enum": ["apns", "gcm", "mixed"]},
        "app": text(),
        "key": _or_null("string"),
        "state": {"type": "string", "enum": [one.value for one in State]},
        **_all(
            (
                *("devices", "accepted", "rejected", "not_sent", "maybe_sent", "invalid"),
                *("repeated", "retried", "canonical_ids", "failures"),
                *("chunks_published", "chunks_done"),
            ),
            COUNT,
        ),
        **_all(("source_ended", "has_publisher", "is_over"), FLAG),
        "error": _or_null("string"),
        "created_at": TIME,
        "finished_at": {"type": ["string", "null"], "format": "date-time"},
        "seconds": {"type": "number"},
    }
)

ALL: Final[dict[str, Schema]] = {
    "Payload": {
        "type": ["object", "string"],
        "description": "An object as of the task; or a text to show.",
    },
    "ApnsPush": {
        "anyOf": [
            _closed({"token": DEVICE_TOKEN, "payload": ref("Payload")}, _APNS_OPTIONS),
            _closed(
                {"tokens": {**listed(_APNS_ENTRY), "maxItems": 1000}, "payload": ref("Payload")},
                {name: one for name, one in _APNS_OPTIONS.items() if name != "apns_id"},
            ),
        ]
    },
    "GcmPush": _closed(
        {
            "registration_ids": {
                "anyOf": [*_TARGET["anyOf"], {**listed(_TARGET), "maxItems": 10_000}]
            },
            "payload": ref("Payload"),
        },
        {"app": text(1), "dry_run": FLAG},
    ),
    "Accepted": _closed(
        {
            "tasks": listed(_closed({"index": COUNT, "id": TASK_ID, "url": text(1)})),
            "errors": listed(ref("EntryError")),
        }
    ),
    "EntryError": _closed({"index": COUNT, "status": {"enum": [400, 503]}, "detail": text()}),
    "Result": _closed(
        {
            "id": TASK_ID,
            "state": text(1),
            "result": {"anyOf": [{"type": "object"}, {"type": "null"}]},
            "error": {
                "anyOf": [_closed({"type": text(), "message": text()}), {"type": "null"}],
            },
        }
    ),
    "Device": _DEVICE,
    "Fanout": _FANOUT,
    "Fanouts": _closed({"fanouts": listed(ref("Fanout"))}),
    "Failures": _closed(
        {"failures": listed(ref("Device")), "next": {**PLACE, "type": ["string", "null"]}}
    ),
    "Counters": _COUNTERS,
    "Report": _closed(
        {
            **_all(("apns", "gcm"), {"type": "object", "additionalProperties": ref("Counters")}),
            "stream": _object(_all(("entries", "length", "lost"), COUNT)),
        }
    ),
    "GocmReport": _closed(
        _all(("attempts", "failures", "pending", "canonicals", "notregistered"), NUMBER)
    ),
    "Canonicals": _closed(
        {
            "canonical_replacements": {
                "type": ["array", "null"],
                "items": _closed({"original": text(), "canonical": text()}),
            }
        }
    ),
    "NotRegistered": _closed({"tokens": {"type": ["array", "null"], "items": text()}}),
    "Health": _closed({"status": {"const": "ok"}}),
    "Readiness": _closed(
        {
            "status": {"enum": ["ready", "unready"]},
            **_all(("broker", "store"), {"enum": ["ok", "unreachable"]}),
        }
    ),
    "Problem": _object(
        {
            "type": text(),
            "title": text(),
            "status": {"type": "integer"},
            "detail": text(),
        },
        {"errors": listed(ref("EntryError")), "id": text()},
    ),
}
