"""The part of the document that is about fan-outs."""

from pushtasks.adapters.http.openapi import schemas
from pushtasks.adapters.http.openapi.describing import (
    json_answer,
    located_answer,
    operation,
    path_parameter,
    query_parameter,
)
from pushtasks.adapters.http.openapi.schemas import Schema, ref, text


def paths() -> Schema:
    """Return the paths, by their addresses."""
    steering = {
        "200": json_answer("Fanout"),
        "404": "There is no such fan-out.",
        "409": "It is over, or otherwise cannot.",
    }
    id_ = path_parameter("id", schemas.FANOUT_ID, "A fan-out's id.")
    return {
        "/v1/fanouts": {
            "get": operation(
                "listFanouts",
                "Fan-outs, the newest first",
                "fan-outs",
                {"200": json_answer("Fanouts"), "400": None},
                parameters=[query_parameter("count", schemas.PAGE, "How many at the most.")],
            ),
            "post": operation(
                "startFanout",
                "Send to any number of devices, the lines of the body",
                "fan-outs",
                {
                    "202": located_answer("Fanout", "All of it is published."),
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
            "get": operation(
                "getFanout",
                "A fan-out as it stands",
                "fan-outs",
                {"200": json_answer("Fanout"), "404": "There is no such fan-out."},
            ),
        },
        "/v1/fanouts/{id}/failures": {
            "parameters": [id_],
            "get": operation(
                "listFailures",
                "What went wrong or changed with devices, a page of it",
                "fan-outs",
                {"200": json_answer("Failures"), "400": None, "404": "There is no such fan-out."},
                parameters=[
                    query_parameter("after", schemas.PLACE, "The `next` of the page before."),
                    query_parameter("count", schemas.PAGE, "How many at the most."),
                ],
            ),
        },
        **{
            f"/v1/fanouts/{{id}}/{verb}": {
                "parameters": [id_],
                "post": operation(f"{verb}Fanout", summary, "fan-outs", steering),
            }
            for verb, summary in (("pause", "Hold a fan-out"), ("cancel", "End it for good"))
        },
        "/v1/fanouts/{id}/resume": {
            "parameters": [id_],
            "post": operation(
                "resumeFanout",
                "Let it go on; with the same body if that was not read to the end",
                "fan-outs",
                {
                    "202": located_answer("Fanout", "It goes on, and all of it is published."),
                    "400": None,
                    "404": "There is no such fan-out.",
                    "409": "It cannot go on, or not without the body.",
                    "413": "The body is too long.",
                    "415": "The body is in no known format.",
                },
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
        {**query_parameter("provider", provider, "Whose devices they are."), "required": True},
        payload,
        query_parameter("app", text(1), "The app in the settings; left out, `default`."),
        query_parameter("key", text(1), "Starting it twice with the same key sends it once."),
        query_parameter(
            "chunk", {"type": "integer", "minimum": 1, "maximum": 1000}, "Devices of a task."
        ),
        query_parameter("topic", text(1), "Apple: instead of the app's own."),
        query_parameter("push_type", text(1), "Apple."),
        query_parameter("priority", {"type": "integer", "enum": [1, 5, 10]}, "Apple."),
        query_parameter(
            "expiration", text(1), "Apple: seconds from now, or an ISO 8601 time with zone."
        ),
        query_parameter("collapse_id", text(1, 64), "Apple."),
        query_parameter(
            "environment", {"type": "string", "enum": ["production", "sandbox"]}, "Apple."
        ),
        query_parameter("dry_run", {"type": "boolean"}, "Google: check, do not deliver."),
    ]


def _devices(*, required: bool) -> Schema:
    kinds = ("text/plain", "text/csv", "application/x-ndjson", "application/octet-stream")
    return {
        "required": required,
        "description": "A device a line: a token; a row of CSV, with or without a heading; or JSON,"
        " a token, a pair of it and what is its own, or an object with it as `token`.",
        "content": {kind: {"schema": {"type": "string"}} for kind in kinds},
    }
