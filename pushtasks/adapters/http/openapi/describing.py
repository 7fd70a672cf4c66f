"""Operations, parameters and answers as OpenAPI has them."""

from collections.abc import Mapping
from typing import Any, Final

from pushtasks.adapters.http.openapi.schemas import Schema, ref

#: Statuses that any operation with a key may answer, and what they mean.
_COMMON: Final = {
    "401": "No API key, or none that is accepted.",
    "403": "It comes from another web site.",
    "421": "Called by a name that is not the service's.",
    "429": "Too many requests.",
    "500": "A fault of the server's, or of its settings.",
    "503": "Broker or Redis are away for the moment.",
}
#: Bodies of answers that say what is wrong.
PROBLEM: Final[Schema] = {"application/problem+json": {"schema": ref("Problem")}}
PLAIN: Final[Schema] = {"text/plain": {"schema": {"type": "string"}}}


def operation(
    id_: str, summary: str, tag: str, responses: Mapping[str, Any], **more: Any
) -> Schema:
    """Return an operation; of responses whose value is text, or None, a problem is the body."""
    kind = PROBLEM if tag in {"pushes", "fan-outs"} or id_ == "getReport" else PLAIN
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


def open_operation(id_: str, summary: str, responses: Schema) -> Schema:
    """Return an operation that needs no key."""
    return {
        "operationId": id_,
        "summary": summary,
        "tags": ["operation"],
        "security": [],
        "responses": responses,
    }


def json_answer(schema: str, description: str = "It is so.") -> Schema:
    """Return an answer whose body is JSON of a schema."""
    return {"description": description, "content": {"application/json": {"schema": ref(schema)}}}


def located_answer(schema: str, description: str) -> Schema:
    """Return such an answer that says, too, where what it describes is found."""
    header = {"description": "Its address.", "schema": {"type": "string"}}
    return {**json_answer(schema, description), "headers": {"Location": header}}


def path_parameter(name: str, schema: Schema, description: str) -> Schema:
    """Return a parameter that is part of the path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
    }


def query_parameter(name: str, schema: Schema, description: str) -> Schema:
    """Return a parameter of the query that may be left out."""
    return {"name": name, "in": "query", "description": description, "schema": schema}
