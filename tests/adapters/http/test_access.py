"""Who may pass, and how those are told who may not."""

import base64

import pytest

from pushtasks.adapters.http.keys import ApiKeys, new_key

KEY, HASH = new_key()
KEYS = ApiKeys.parse([new_key()[1], HASH])
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@pytest.fixture
def locked(make_app):
    return make_app(api_keys=KEYS).test_client()


def basic(password, user="anybody"):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer {KEY}"},
        {"X-API-Key": KEY},
        {"Authorization": basic(KEY)},
        {"Authorization": basic(KEY, user="")},
    ],
)
def test_a_key_opens_in_each_form(locked, headers):
    assert locked.get("/v1/report", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": f"Digest {KEY}"},
        {"Authorization": "Basic !"},
        {"Authorization": basic("wrong")},
        {"Authorization": basic("x", user=KEY)},
        {"X-API-Key": ""},
        {"X-API-Key": HASH},
        {"X-API-Key": "ä€".encode().decode("latin-1")},
    ],
)
@pytest.mark.parametrize("path", ["/v1/report", "/gcm/report", "/metrics"])
def test_anything_else_does_not(locked, headers, path):
    answer = locked.get(path, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert "pushtasks serve --new-key" in answer.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json"])
def test_what_tells_nothing_is_open(locked, path):
    assert locked.get(path).status_code == 200


def test_a_refusal_is_a_problem_for_programs_and_a_line_for_people(locked):
    program, person = locked.get("/v1/report"), locked.get("/gcm/report")

    assert program.content_type == "application/problem+json"
    assert program.json["title"] == "Unauthorized"
    assert program.json["status"] == 401
    assert person.content_type.startswith("text/plain")
    assert person.text == program.json["detail"] + "\n"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:5601", "127.0.0.1:5601", "[::1]:5601", "[::1]"]
)
def test_a_known_name_passes(make_app, host):
    client = make_app(hosts=LOOPBACK).test_client()

    assert client.get("/v1/report", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil", "[::2]"]
)
@pytest.mark.parametrize("path", ["/v1/report", "/gcm/report/canonical"])
def test_a_foreign_name_that_leads_here_does_not(make_app, host, path):
    client = make_app(hosts=LOOPBACK).test_client()

    answer = client.get(path, headers={"Host": host})

    assert answer.status_code == 421
    assert "--allowed-host" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:1"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gcm/send"),
        ("POST", "/v1/apns"),
        ("POST", "/v1/fanouts/0123456789ab/cancel"),
        ("GET", "/gcm/report/canonical"),
        ("GET", "/gcm/report/notregistered/"),
    ],
)
def test_another_site_can_change_nothing(client, headers, method, path):
    assert client.open(path, method=method, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_the_own_page_and_programs_can(client, headers):
    answer = client.post("/v1/apns", json={"token": "00ff", "payload": "Hi"}, headers=headers)

    assert answer.status_code == 202


def test_another_site_may_lead_a_reader_here(client):
    answer = client.get("/v1/report", headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 200


def test_too_many_requests_of_a_key_are_told_when_to_come_again(make_app):
    client = make_app(api_keys=KEYS, rate=2).test_client()
    headers = {"X-API-Key": KEY}

    answers = [client.get("/v1/report", headers=headers) for _ in range(4)]

    assert [one.status_code for one in answers] == [200, 200, 429, 429]
    assert answers[-1].headers["Retry-After"] == "1"
    assert answers[-1].content_type == "application/problem+json"


def test_without_keys_the_limit_goes_by_address(make_app):
    client = make_app(rate=1).test_client()
    here, there = {"REMOTE_ADDR": "10.0.0.1"}, {"REMOTE_ADDR": "10.0.0.2"}

    statuses = [
        client.get("/v1/report", environ_base=base).status_code for base in (here, here, there)
    ]

    assert statuses == [200, 429, 200]


def test_no_answer_is_kept_or_framed(client):
    headers = client.get("/v1/report").headers

    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/none-such", 404), ("GET", "/v1/apns", 405), ("DELETE", "/v1/fanouts", 405)],
)
def test_an_unknown_address_is_a_problem_too(client, method, path, status):
    answer = client.open(path, method=method)

    assert answer.status_code == status == answer.json["status"]
    assert answer.content_type == "application/problem+json"
