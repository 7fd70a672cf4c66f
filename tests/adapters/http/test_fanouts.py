"""`/v1/fanouts`: devices as a body, which is read as it is published."""

import io
import json
import threading
import tracemalloc

import pytest
from kombu.exceptions import OperationalError

from pushtasks.adapters.http import uploads
from pushtasks.adapters.http.bodies import Upload
from pushtasks.fanout.publisher import Publisher
from pushtasks.store import StoreUnavailable

TOKEN = "00ff" * 8
HEADERS = {"Push-Payload": json.dumps({"aps": {"alert": "Grüße"}})}


def devices(count):
    return "".join(f"{number:064x}\n" for number in range(count))


@pytest.fixture
def begin(client):
    """(body, content type, query) → the answer."""

    def post(body=devices(3), kind="text/plain", query="provider=apns", **headers):  # noqa: B008
        return client.post(
            f"/v1/fanouts?{query}", data=body, content_type=kind, headers={**HEADERS, **headers}
        )

    return post


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", f"{TOKEN}\n{TOKEN}\n"),
        ("text/plain; charset=utf-8", f"{TOKEN}\r\n{TOKEN}"),
        ("text/csv", f"name,token\nanna,{TOKEN}\nbert,{TOKEN}\n"),
        ("application/x-ndjson", f'{{"token": "{TOKEN}", "priority": 5}}\n["{TOKEN}", {{}}]\n'),
        ("application/x-www-form-urlencoded", f"{TOKEN}\n{TOKEN}\n"),
        ("", f"{TOKEN}\n{TOKEN}\n"),
    ],
)
def test_devices_come_in_each_format(begin, client, queued, kind, body):
    answer = begin(body, kind)

    assert answer.status_code == 202
    assert (answer.json["devices"], answer.json["invalid"]) == (2, 0)
    assert answer.json["source_ended"]
    assert queued("push.bulk") == 1
    assert client.get(answer.headers["Location"]).json["id"] == answer.json["id"]


def test_the_query_says_what_all_devices_share(begin, client, service):
    query = "provider=apns&app=news&key=monday&chunk=2&priority=5&expiration=60&topic=com.example"

    answer = begin(query=query)

    spec = service.store().fanouts.spec(answer.json["id"])
    assert (spec.app, spec.key, spec.chunk) == ("news", "monday", 2)
    assert spec.payload == {"aps": {"alert": "Grüße"}}
    assert (spec.options["priority"], spec.options["topic"]) == (5, "com.example")
    assert answer.json["chunks_published"] == 2
    assert begin(query=query).json["id"] == answer.json["id"]


def test_a_payload_may_be_written_in_utf_8(begin, service):
    raw = json.dumps({"aps": {"alert": "Grüße"}}, ensure_ascii=False).encode().decode("latin-1")

    answer = begin(**{"Push-Payload": raw})

    payload = service.store().fanouts.spec(answer.json["id"]).payload
    assert payload == {"aps": {"alert": "Grüße"}}


def test_a_device_that_is_none_keeps_no_other_back(begin, client):
    id_ = begin(f"{TOKEN}\nnonsense\n{TOKEN}\n").json["id"]

    page = client.get(f"/v1/fanouts/{id_}/failures").json

    assert [(one["token"], one["line"]) for one in page["failures"]] == [("nonsense", 2)]
    assert client.get(f"/v1/fanouts/{id_}/failures?after={page['next']}").json == {
        "failures": [],
        "next": None,
    }


@pytest.mark.parametrize("after", ["x", "1", "99999999999999999999-1", "1-99999999999999999999"])
def test_a_place_among_failures_that_is_none_is_refused(begin, client, after):
    id_ = begin("nonsense").json["id"]

    answer = client.get(f"/v1/fanouts/{id_}/failures?after={after}")

    assert answer.status_code == 400
    assert "no `next` of a page before" in answer.json["detail"]


@pytest.mark.parametrize(
    ("query", "headers", "status", "words"),
    [
        ("", {}, 400, "provider: missing"),
        ("provider=pigeon", {}, 400, "provider 'pigeon'"),
        ("provider=apns", {"Push-Payload": "{"}, 400, "Push-Payload is not JSON"),
        ("provider=apns", {"Push-Payload": "[]"}, 400, "payload"),
        ("provider=apns&chunk=0", {}, 400, "chunk: '0' is no whole number from 1 to 1000"),
        ("provider=apns&chunk=1001", {}, 400, "chunk: '1001'"),
        ("provider=apns&priority=7", {}, 400, "priority"),
        ("provider=apns&dry_run=true", {}, 400, "no option 'dry_run'"),
        ("provider=gcm&dryrun=true", {}, 400, "'dryrun' is no parameter: there are provider, app,"),
        ("provider=gcm&dry_run=maybe", {}, 400, "neither true nor false"),
        ("provider=apns&expiration=nan", {}, 400, "expiration"),
        ("provider=apns&topic=", {}, 400, "topic: empty"),
    ],
)
def test_what_no_device_could_be_sent_is_refused(begin, client, query, headers, status, words):
    answer = begin(query=query, **headers)

    assert answer.status_code == status
    assert words in answer.json["detail"]
    assert client.get("/v1/fanouts").json == {"fanouts": []}


def test_a_payload_is_asked_for(client):
    answer = client.post("/v1/fanouts?provider=apns", data=TOKEN, content_type="text/plain")

    assert answer.status_code == 400
    assert "Push-Payload: missing" in answer.json["detail"]


def test_another_format_is_refused_with_those_there_are(begin):
    answer = begin("[]", "application/json")

    assert answer.status_code == 415
    assert "application/x-ndjson" in answer.json["detail"]


def test_an_upload_over_the_limit_is_refused_by_what_it_says(make_app):
    client = make_app(upload_limit=100).test_client()

    answer = client.post("/v1/fanouts?provider=apns", data=devices(3), headers=HEADERS)

    assert answer.status_code == 413


def test_fan_outs_are_listed_the_newest_first(begin, client):
    ids = [begin().json["id"] for _ in range(3)]

    listed = client.get("/v1/fanouts?count=2").json["fanouts"]

    assert [one["id"] for one in listed] == ids[:0:-1]


def test_a_fan_out_is_paused_and_resumed_and_cancelled(begin, client):
    id_ = begin().json["id"]
    states = []
    for verb in ("pause", "resume", "cancel"):
        answer = client.post(f"/v1/fanouts/{id_}/{verb}")
        states.append((answer.status_code, answer.json["state"]))

    assert states == [(200, "paused"), (202, "running"), (200, "cancelled")]
    refused = client.post(f"/v1/fanouts/{id_}/resume")
    assert refused.status_code == 409
    assert "was cancelled" in refused.json["detail"]


@pytest.mark.parametrize("id_", ["0123456789ab", "x", "0123456789ab:publisher", "*"])
@pytest.mark.parametrize("verb", ["", "/failures", "/cancel", "/pause", "/resume"])
def test_an_unknown_fan_out_is_not_found(client, id_, verb):
    method = "GET" if verb in {"", "/failures"} else "POST"

    answer = client.open(f"/v1/fanouts/{id_}{verb}", method=method)

    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"


# While it is published --------------------------------------------------------------------------


def test_no_more_than_so_many_are_published_at_a_time(begin, service):
    for _ in range(service.options.uploads):
        service.uploads.acquire()

    answer = begin()

    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    for _ in range(service.options.uploads):
        service.uploads.release()
    assert begin().status_code == 202


def test_a_server_that_ends_says_how_to_go_on(begin, client, service, wait_for):
    """There is no worker: after 100 chunks its publisher waits for one."""
    answers = []
    body = devices(150)
    thread = threading.Thread(
        target=lambda: answers.append(begin(body, query="provider=apns&chunk=1"))
    )
    thread.start()
    wait_for(lambda: [one for one in client.get("/v1/fanouts").json["fanouts"] if is_full(one)])

    service.stopping.set()
    thread.join(10)

    [answer] = answers
    assert answer.status_code == 503
    id_ = answer.json["id"]
    assert f"/v1/fanouts/{id_}/resume" in answer.json["detail"]
    standing = client.get(f"/v1/fanouts/{id_}").json
    assert (standing["devices"], standing["has_publisher"]) == (100, False)
    without = client.post(f"/v1/fanouts/{id_}/resume")
    assert without.status_code == 409
    assert "give the same ones once more" in without.json["detail"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StoreUnavailable("Redis is away"), "since Redis is away"),
        (OperationalError("amqp://user:hidden@b"), "since the broker is away"),
    ],
)
def test_one_that_breaks_off_is_named_so_that_nobody_is_sent_to_twice(
    error, words, begin, client, monkeypatch
):
    def lose_broker(self, number):
        if number == 1:
            raise error
        send(self, number)

    send = Publisher._send
    monkeypatch.setattr(Publisher, "_send", lose_broker)

    answer = begin(query="provider=apns&chunk=1")

    [one] = client.get("/v1/fanouts").json["fanouts"]
    assert (answer.status_code, answer.json["id"]) == (503, one["id"])
    assert words in answer.json["detail"]
    assert "Retry-After" not in answer.headers
    monkeypatch.setattr(Publisher, "_send", send)
    resumed = client.post(
        f"/v1/fanouts/{one['id']}/resume", data=devices(3), content_type="text/plain"
    )
    assert (resumed.status_code, resumed.json["devices"]) == (202, 3)


def test_one_whose_upload_is_cut_off_is_resumed_with_the_same_body(client, service):
    """As under gunicorn; waitress has the whole body before it asks."""
    body = devices(5).encode()

    client.post(
        "/v1/fanouts?provider=apns&chunk=2",
        input_stream=io.BytesIO(body[: 65 * 3 + 20]),
        environ_overrides={"CONTENT_LENGTH": str(len(body))},
        content_type="text/plain",
        headers=HEADERS,
    )

    [cut] = service.store().fanouts.newest()
    assert (cut.devices, cut.source_ended, cut.has_publisher, cut.error) == (2, False, False, None)
    resumed = client.post(f"/v1/fanouts/{cut.id}/resume", data=body, content_type="text/plain")
    assert resumed.json["devices"] == 5
    assert resumed.json["source_ended"]


def is_full(one):
    return one["chunks_published"] == 100


def test_one_that_does_not_move_is_left_to_be_resumed(begin, client, service, monkeypatch):
    monkeypatch.setattr(uploads, "STALL", 0.5)
    body = devices(130)

    answer = begin(body, query="provider=apns&chunk=1")

    assert answer.status_code == 503
    assert "it has not moved" in answer.json["detail"]
    fanouts, id_ = service.store().fanouts, answer.json["id"]
    store = service.store().chunks
    assert store is not None
    assert fanouts.find(id_).devices == 100


def test_a_body_is_never_in_memory_as_a_whole(client):
    """No device of it is any, so that no worker is needed."""
    size = 6000 * 1024

    class Body:
        left = size

        def read(self, count):
            count = min(count, self.left)
            self.left -= count
            return (b"no token".ljust(1023) + b"\n") * (count // 1024)

    tracemalloc.start()
    answer = client.post(
        "/v1/fanouts?provider=apns",
        headers=HEADERS,
        environ_overrides={"wsgi.input": Body(), "CONTENT_LENGTH": str(size)},
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert answer.json["invalid"] > 5000
    assert peak < size / 2


def test_what_grows_over_the_limit_ends_with_an_error():
    class Endless:
        def read(self, count):
            return b"x" * count

    with pytest.raises(ValueError, match="more than 1000 bytes"):
        Upload(Endless(), 1000).readinto(bytearray(2000))
