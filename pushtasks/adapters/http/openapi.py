"""The OpenAPI document of the service: what programs may ask, and what they are answered."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from pushtasks.adapters.http import schemas
from pushtasks.adapters.http.schemas import Schema, listed, ref, text

#: Statuses that any operation with a key may answer, and what they mean.
_COMMON: Final = {
    "401": "No API key, or none that is accepted.",
    "403": "It comes from another web site.",
    "421": "Called by a name that is not the service's.",
    "429": "Too many requests.",
    "503": "Broker or Redis are away for the moment.",
}
_PROBLEM: Final[Schema] = {"application/problem+json": {"schema": ref("Problem")}}
_PLAIN: Final[Schema] = {"text/plain": {"schema": {"type": "string"}}}


@cache
def document() -> Mapping[str, Any]:
    """Return the document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pushtasks",
            "version": version("pushtasks"),
            "description": "Push notifications by Apple and Google, sent by Celery workers.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"header": []}, {"basic": []}],
        "tags": [
            {"name": "pushes"},
            {"name": "fan-outs"},
            {"name": "GoCM", "description": "As GoCM had them."},
            {"name": "operation"},
        ],
        "paths": {**_pushes(), **_fanouts(), **_gocm(), **_operation()},
        "components": {
            "schemas": schemas.ALL,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
    }


def _pushes() -> Schema:
    return {
        "/v1/apns": {"post": _sending("sendApns", "Send by Apple", "ApnsPush")},
        "/v1/gcm": {"post": _sending("sendGcm", "Send by Google", "GcmPush")},
        "/v1/results/{id}": {
            "parameters": [_path("id", schemas.TASK_ID, "A task's id.")],
            "get": _operation_of(
                "getResult",
                "What became of a push; PENDING, too, if there is no such task",
                "pushes",
                {"200": _json("Result"), "404": "That is no id, or no results are kept."},
            ),
        },
    }


def _sending(id_: str, summary: str, schema: str) -> Schema:
    one_or_many = {"oneOf": [ref(schema), {**listed(ref(schema)), "minItems": 1, "maxItems": 1000}]}
    return _operation_of(
        id_,
        f"{summary}: one push, or a list of them, each checked by itself",
        "pushes",
        {
            "202": _json("Accepted", "At least one is in the broker."),
            "400": "None can be sent.",
            "413": "The body is too long.",
            "415": "The body is no JSON.",
        },
        requestBody={"required": True, "content": {"application/json": {"schema": one_or_many}}},
    )


def _fanouts() -> Schema:
    steering = {
        "200": _json("Fanout"),
        "404": "There is no such fan-out.",
        "409": "It is over, or otherwise cannot.",
    }
    id_ = _path("id", schemas.FANOUT_ID, "A fan-out's id.")
    return {
        "/v1/fanouts": {
            "get": _operation_of(
                "listFanouts",
                "Fan-outs, the newest first",
                "fan-outs",
                {"200": _json("Fanouts"), "400": None},
                parameters=[_query("count", schemas.PAGE, "How many at the most.")],
            ),
            "post": _operation_of(
                "startFanout",
                "Send to any number of devices, the lines of the body",
                "fan-outs",
                {
                    "202": _located("Fanout", "All of it is published."),
                    "400": "None of the devices could be sent to.",
                    "413": "The body is too long.",
                    "415": "The body is in no known format.",
                },
                parameters=_fanout_parameters(),
                requestBody=_devices(required=True),
            ),
        },
        "/v1/fanouts/{id}": {
            "parameters": [id_],
            "get": _operation_of(
                "getFanout",
                "A fan-out as it stands",
                "fan-outs",
                {"200": _json("Fanout"), "404": "There is no such fan-out."},
            ),
        },
        "/v1/fanouts/{id}/failures": {
            "parameters": [id_],
            "get": _operation_of(
                "listFailures",
                "What went wrong or changed with devices, a page of it",
                "fan-outs",
                {"200": _json("Failures"), "400": None, "404": "There is no such fan-out."},
                parameters=[
                    _query("after", schemas.PLACE, "The `next` of the page before."),
                    _query("count", schemas.PAGE, "How many at the most."),
                ],
            ),
        },
        **{
            f"/v1/fanouts/{{id}}/{verb}": {
                "parameters": [id_],
                "post": _operation_of(f"{verb}Fanout", summary, "fan-outs", steering),
            }
            for verb, summary in (("pause", "Hold a fan-out"), ("cancel", "End it for good"))
        },
        "/v1/fanouts/{id}/resume": {
            "parameters": [id_],
            "post": _operation_of(
                "resumeFanout",
                "Let it go on; with the same body if that was not read to the end",
                "fan-outs",
                {
                    "202": _located("Fanout", "It goes on, and all of it is published."),
                    "400": None,
                    "404": "There is no such fan-out.",
                    "409": "It cannot go on, or not without the body.",
                    "413": "The body is too long.",
                    "415": "The body is in no known format.",
                },
                parameters=[_query("lost", {"type": "boolean"}, "Publish again what is not done.")],
                requestBody=_devices(required=False),
            ),
        },
    }


def _fanout_parameters() -> list[Schema]:
    payload = {
        "name": "Push-Payload",
        "in": "header",
        "required": True,
        "description": "The payload that all devices share, as JSON.",
        "content": {"application/json": {"schema": ref("Payload")}},
    }
    provider = {"type": "string", "enum": ["apns", "gcm", "mixed"]}
    return [
        {**_query("provider", provider, "Whose devices they are."), "required": True},
        payload,
        _query("app", text(1), "The app in the settings; left out, `default`."),
        _query("key", text(1), "Starting it twice with the same key sends it once."),
        _query("chunk", {"type": "integer", "minimum": 1, "maximum": 1000}, "Devices of a task."),
        _query("topic", text(1), "Apple: instead of the app's own."),
        _query("push_type", text(1), "Apple."),
        _query("priority", {"type": "integer", "enum": [1, 5, 10]}, "Apple."),
        _query("expiration", text(1), "Apple: seconds from now, or an ISO 8601 time with zone."),
        _query("collapse_id", text(1, 64), "Apple."),
        _query("environment", {"type": "string", "enum": ["production", "sandbox"]}, "Apple."),
        _query("dry_run", {"type": "boolean"}, "Google: check, do not deliver."),
    ]


def _devices(*, required: bool) -> Schema:
    kinds = ("text/plain", "text/csv", "application/x-ndjson", "application/octet-stream")
    return {
        "required": required,
        "description": "A device a line: a token; a row of CSV, with or without a heading; or JSON,"
        " a token, a pair of it and what is its own, or an object with it as `token`.",
        "content": {kind: {"schema": {"type": "string"}} for kind in kinds},
    }


def _gocm() -> Schema:
    form = {
        "type": "object",
        "required": ["tokens", "payload"],
        "properties": {
            "tokens": {**listed(text(1)), "minItems": 1},
            "payload": {**text(2), "contentMediaType": "application/json"},
        },
    }
    reports = {
        "/gcm/report": ("getGocmReport", "Counters", "GocmReport"),
        "/gcm/report/canonical": ("takeCanonicals", "Replacements, then emptied", "Canonicals"),
        "/gcm/report/notregistered": ("takeDead", "Dead ids, then emptied", "NotRegistered"),
    }
    return {
        "/gcm/send": {
            "post": _operation_of(
                "sendGocm",
                "Send data to devices",
                "GoCM",
                {
                    "200": {
                        "description": "It is in the broker.",
                        "content": {"text/html": {"schema": {"type": "string", "const": "ok\n"}}},
                    },
                    "400": "It cannot be sent.",
                    "413": "The body is too long.",
                },
                requestBody={
                    "required": True,
                    "content": {"application/x-www-form-urlencoded": {"schema": form}},
                },
            )
        },
        **{
            path: {"get": _operation_of(id_, summary, "GoCM", {"200": _json(schema)})}
            for path, (id_, summary, schema) in reports.items()
        },
    }


def _operation() -> Schema:
    return {
        "/v1/report": {
            "get": _operation_of(
                "getReport",
                "Counters of all apps since the last reset",
                "operation",
                {"200": _json("Report")},
            )
        },
        "/metrics": {
            "get": _operation_of(
                "getMetrics",
                "Figures for Prometheus",
                "operation",
                {"200": {"description": "Figures.", "content": _PLAIN}},
            )
        },
        "/healthz": {"get": _open("getHealth", "The process lives", {"200": _json("Health")})},
        "/readyz": {
            "get": _open(
                "getReadiness",
                "Broker and Redis answer",
                {"200": _json("Readiness"), "503": _json("Readiness", "One of them does not.")},
            )
        },
        "/openapi.json": {
            "get": _open(
                "getDescription",
                "This document",
                {
                    "200": {
                        "description": "OpenAPI 3.1.",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    }
                },
            )
        },
    }


def _operation_of(
    id_: str, summary: str, tag: str, responses: Mapping[str, Any], **more: Any
) -> Schema:
    """Return an operation; of responses whose value is text, or None, a problem is the body."""
    kind = _PROBLEM if tag in {"pushes", "fan-outs"} or id_ == "getReport" else _PLAIN
    problems = {
        code: {"description": words or "A parameter is wrong.", "content": kind}
        for code, words in {**_COMMON, **responses}.items()
        if words is None or isinstance(words, str)
    }
    found = {code: one for code, one in responses.items() if isinstance(one, dict)}
    return {
        "operationId": id_,
        "summary": summary,
        "tags": [tag],
        **more,
        "responses": dict(sorted({**problems, **found}.items())),
    }


def _open(id_: str, summary: str, responses: Schema) -> Schema:
    return {
        "operationId": id_,
        "summary": summary,
        "tags": ["operation"],
        "security": [],
        "responses": responses,
    }


def _json(schema: str, description: str = "It is so.") -> Schema:
    return {"description": description, "content": {"application/json": {"schema": ref(schema)}}}


def _located(schema: str, description: str) -> Schema:
    header = {"description": "Its address.", "schema": {"type": "string"}}
    return {**_json(schema, description), "headers": {"Location": header}}


def _path(name: str, schema: Schema, description: str) -> Schema:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
    }


def _query(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}
