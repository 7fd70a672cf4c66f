"""The OpenAPI document tells the truth: asked at random by it, the service answers as it says."""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from pushtasks.adapters.http.openapi import document

EXAMPLES = 30 if os.environ.get("CI") else 15
CHECKS = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
)
#: Their entries, or lines, are checked one by one: what is wrong does not keep others from going.
TOLERANT = {("post", path) for path in ("/v1/apns", "/v1/gcm", "/v1/fanouts")}


@pytest.fixture
def api(make_app):
    return schemathesis.openapi.from_wsgi("/openapi.json", make_app())


#: Path and method, and whether there is anything to be asked wrongly.
OPERATIONS = [
    (path, method, bool({"parameters", "requestBody"} & {*operation, *item}))
    for path, item in document()["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
]
ASKED = [
    (path, method, mode)
    for path, method, can_be_wrong in OPERATIONS
    for mode in GenerationMode
    if can_be_wrong or mode is GenerationMode.POSITIVE
]


@pytest.mark.parametrize(("path", "method", "mode"), ASKED)
def test_whatever_is_asked_is_answered_as_described(api, path, method, mode):
    operation = api[path][method]
    found = CHECKS if (method, path) in TOLERANT else (*CHECKS, checks.negative_data_rejection)

    @settings(
        max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        case.call_and_validate(checks=found)

    ask()


def test_the_schemas_are_schemas():
    for schema in document()["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_route_is_described(client):
    described = {(path.replace("{id}", "<>"), method.upper()) for path, method, _ in OPERATIONS}
    routes = {
        (rule.rule.replace("<id_>", "<>").replace("<task_id>", "<>").rstrip("/"), method)
        for rule in client.application.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if ".page." not in rule.endpoint
    }
    assert routes == described
