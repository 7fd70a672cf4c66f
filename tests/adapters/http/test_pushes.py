"""`/v1/apns`, `/v1/gcm` and `/v1/results`."""

import io

import pytest
from celery import Celery

from pushtasks.errors import PushNotSent

TOKEN = "00ff" * 8


def test_one_push_is_in_the_broker_when_it_is_answered(client, queued):
    answer = client.post("/v1/apns", json={"token": TOKEN, "payload": "Hi", "priority": 5})

    assert answer.status_code == 202
    [task] = answer.json["tasks"]
    assert task["url"] == f"/v1/results/{task['id']}"
    assert answer.json["errors"] == []
    assert queued("push") == 1


def test_of_many_each_goes_or_is_told_by_its_place(client, queued):
    good = {"token": TOKEN, "payload": "Hi"}
    entries = [good, {**good, "token": "xx"}, 7, {**good, "prioritty": 5}, good, {"token": TOKEN}]

    answer = client.post("/v1/apns", json=entries)

    assert answer.status_code == 202
    assert [task["index"] for task in answer.json["tasks"]] == [0, 4]
    details = {one["index"]: one["detail"] for one in answer.json["errors"]}
    assert details.keys() == {1, 2, 3, 5}
    assert "hexadecimal" in details[1]
    assert "int is no push" in details[2]
    assert "did you mean 'priority'?" in details[3]
    assert "missing a required argument: 'payload'" in details[5]
    assert {one["status"] for one in answer.json["errors"]} == {400}
    assert queued("push") == 2


def test_what_none_of_can_be_sent_is_refused(client, queued):
    answer = client.post("/v1/apns", json={"token": "xx", "payload": "Hi"})

    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"
    assert answer.json["errors"][0]["index"] == 0
    assert "hexadecimal" in answer.json["detail"]
    assert queued("push") == 0


def test_a_list_of_tokens_is_one_task(client, queued):
    answer = client.post("/v1/apns", json={"tokens": [TOKEN, TOKEN], "payload": "Hi"})

    assert len(answer.json["tasks"]) == 1
    assert (queued("push"), queued("push.bulk")) == (0, 1)


@pytest.mark.parametrize(
    "ids", ["token", ["one", "two"], {"topic": "news"}, [{"condition": "'a' in topics"}]]
)
def test_google_takes_every_kind_of_target(client, queued, ids):
    answer = client.post("/v1/gcm", json={"registration_ids": ids, "payload": {"data": {"a": "b"}}})

    assert answer.status_code == 202
    assert queued("push") == 1


@pytest.mark.parametrize("name", ["_progress", "_once", "self", "queue", "tokenn"])
def test_what_is_no_argument_of_a_push_is_refused(client, name):
    push = {"token": TOKEN, "payload": "Hi", name: {"tries": 1}}

    answer = client.post("/v1/apns", json=push)

    assert answer.status_code == 400
    assert repr(name) in answer.json["detail"]


@pytest.mark.parametrize("body", [[], [{}] * 1001])
def test_a_request_takes_one_to_a_thousand(client, body):
    answer = client.post("/v1/apns", json=body)

    assert answer.status_code == 400
    assert "takes 1 to 1000" in answer.json["detail"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "Expecting property name"),
        ("[NaN]", "NaN is no value of JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("", "Expecting value"),
        (b"\xff", "Expecting value"),
    ],
)
def test_what_is_no_json_is_refused(client, text, words):
    answer = client.post("/v1/apns", data=text, content_type="application/json")

    assert answer.status_code == 400
    assert words in answer.json["detail"]


def test_another_content_type_is_refused(client):
    answer = client.post("/v1/apns", data={"token": TOKEN})

    assert answer.status_code == 415
    assert "curl: --json" in answer.json["detail"]


def test_a_long_body_is_refused_by_what_it_says_and_by_what_it_is(make_app):
    client = make_app(body_limit=100).test_client()
    long = '{"token": "' + "0" * 200 + '"}'

    said = client.post("/v1/apns", data=long, content_type="application/json")
    chunked = client.post(
        "/v1/apns",
        input_stream=io.BytesIO(long.encode()),
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )

    assert (said.status_code, chunked.status_code) == (413, 413)
    assert "more than 100 bytes" in chunked.json["detail"]


def test_a_broker_that_is_away_is_told_soon(make_app, free_port):
    app = Celery("host", broker=f"redis://127.0.0.1:{free_port}/0", backend="disabled://")
    app.conf.pushtasks = {}
    app.conf.broker_transport_options = {"max_retries": 1, "interval_start": 0}
    client = make_app(app).test_client()

    answer = client.post("/v1/apns", json=[{"token": TOKEN, "payload": "Hi"}, {"token": "x"}])

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert [one["status"] for one in answer.json["errors"]] == [503, 400]
    assert str(free_port) not in answer.text


# Results ----------------------------------------------------------------------------------------


def result_of(client, celery_app, value, state="SUCCESS"):
    celery_app.backend.store_result("an-id", value, state)
    return client.get("/v1/results/an-id").json


def test_a_result_is_shown_as_the_task_returned_it(client, celery_app):
    value = {"version": 1, "provider": "apns", "token": TOKEN, "outcome": "accepted"}

    shown = result_of(client, celery_app, value)

    assert shown == {"id": "an-id", "state": "SUCCESS", "result": value, "error": None}


def test_a_failure_is_shown_with_its_kind_and_words(client, celery_app):
    shown = result_of(client, celery_app, PushNotSent("503 Shutdown"), "FAILURE")

    assert shown["state"] == "FAILURE"
    assert shown["error"] == {"type": "PushNotSent", "message": "503 Shutdown"}


@pytest.mark.parametrize("more", [{}, {"version": 3}])
def test_results_of_other_tasks_are_not_shown(client, celery_app, more):
    shown = result_of(client, celery_app, {"password": "hunter2", **more})

    assert shown == {"id": "an-id", "state": "SUCCESS", "result": None, "error": None}


def test_of_a_failure_of_another_task_only_the_kind_is_shown(client, celery_app):
    shown = result_of(client, celery_app, ValueError("hunter2 is no password"), "FAILURE")

    assert shown["error"] == {"type": "ValueError", "message": ""}


def test_a_result_backend_that_is_away_is_told(make_app, redis_server, free_port):
    backend = f"redis://127.0.0.1:{free_port}/0"
    app = Celery("host", broker=redis_server.url(0), backend=backend)
    app.conf.pushtasks = {}

    answer = make_app(app).test_client().get("/v1/results/an-id")

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert str(free_port) not in answer.text


def test_what_is_not_known_pends(client):
    assert client.get("/v1/results/none-such").json["state"] == "PENDING"


@pytest.mark.parametrize("id_", ["a b", "x" * 129, "ö", "a:b"])
def test_what_is_no_id_is_not_found(client, id_):
    assert client.get(f"/v1/results/{id_}").status_code == 404


def test_without_a_result_backend_that_is_said(make_app, redis_server):
    app = Celery("host", broker=redis_server.url(0), backend="disabled://")
    app.conf.pushtasks = {}

    answer = make_app(app).test_client().get("/v1/results/an-id")

    assert answer.status_code == 404
    assert "results are not kept where" in answer.json["detail"]
