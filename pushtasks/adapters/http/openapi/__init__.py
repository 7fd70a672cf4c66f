"""The OpenAPI document of the service: what programs may ask, and what they are answered."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

from pushtasks.adapters.http.openapi import fanouts, schemas
from pushtasks.adapters.http.openapi.describing import (
    PLAIN,
    json_answer,
    open_operation,
    operation,
    path_parameter,
)
from pushtasks.adapters.http.openapi.schemas import Schema, listed, ref, text


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
        "paths": {**_pushes(), **fanouts.paths(), **_gocm(), **_operating()},
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
            "parameters": [path_parameter("id", schemas.TASK_ID, "A task's id.")],
            "get": operation(
                "getResult",
                "What became of a push; PENDING, too, if there is no such task",
                "pushes",
                {"200": json_answer("Result"), "404": "That is no id, or no results are kept."},
            ),
        },
    }


def _sending(id_: str, summary: str, schema: str) -> Schema:
    one_or_many = {"oneOf": [ref(schema), {**listed(ref(schema)), "minItems": 1, "maxItems": 1000}]}
    return operation(
        id_,
        f"{summary}: one push, or a list of them, each checked by itself",
        "pushes",
        {
            "202": json_answer("Accepted", "At least one is in the broker."),
            "400": "None can be sent.",
            "413": "The body is too long.",
            "415": "The body is no JSON.",
        },
        requestBody={"required": True, "content": {"application/json": {"schema": one_or_many}}},
    )


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
            "post": operation(
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
            path: {"get": operation(id_, summary, "GoCM", {"200": json_answer(schema)})}
            for path, (id_, summary, schema) in reports.items()
        },
    }


def _operating() -> Schema:
    return {
        "/v1/report": {
            "get": operation(
                "getReport",
                "Counters of all apps since the last reset",
                "operation",
                {"200": json_answer("Report")},
            )
        },
        "/metrics": {
            "get": operation(
                "getMetrics",
                "Figures for Prometheus",
                "operation",
                {"200": {"description": "Figures.", "content": PLAIN}},
            )
        },
        "/healthz": {
            "get": open_operation("getHealth", "The process lives", {"200": json_answer("Health")})
        },
        "/readyz": {
            "get": open_operation(
                "getReadiness",
                "Broker and Redis answer",
                {
                    "200": json_answer("Readiness"),
                    "503": json_answer("Readiness", "One of them does not."),
                },
            )
        },
        "/openapi.json": {
            "get": open_operation(
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
