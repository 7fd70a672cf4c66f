import json

import pytest

from pushtasks.adapters.cli.control import Control

GOOD = "ab" * 32
DEAD = "cd" * 32
PAYLOAD = '{"aps": {"alert": "Hello"}}'


def test_a_rejected_push_shows_why_since_when_and_what_to_do(pushtasks, here, script):
    script(DEAD, {"reason": "Unregistered", "timestamp": 1_767_225_600_000})

    ran = pushtasks("send", "apns", DEAD, "--alert", "Hello", COLUMNS="120", **here)

    assert ran.status == 1
    [row] = [row for row in ran.rows if row[0] == "cdcdcd…"]
    assert row[1:4] == ["APNs", "rejected", "Unregistered"]
    assert " ".join(row[4:]) == "delete the token (dead since 01 Jan 00:00 UTC)"


def test_json_is_the_result_of_the_task(pushtasks, here):
    ran = pushtasks("send", "apns", GOOD, "--payload", PAYLOAD, "--json", **here)

    [task] = ran.json()["tasks"]
    assert (ran.status, task["state"], task["result"]["outcome"]) == (0, "SUCCESS", "accepted")
    assert task["result"]["message_id"] == task["id"]


def test_many_devices_of_a_file_go_in_slices_and_failures_are_listed(pushtasks, here, script):
    script(DEAD, {"reason": "BadDeviceToken"})
    tokens = "\n".join([*(f"{number:064x}" for number in range(1, 1001)), "", DEAD, GOOD])

    ran = pushtasks(
        "send", "apns", "--tokens", "-", "--alert", "Hello", "--collapse-id", "x",
        given=tokens, **here,
    )  # fmt: skip

    assert ran.status == 1
    assert ran.out.splitlines()[-1] == "1001 accepted, 1 rejected"
    assert [row[:4] for row in ran.rows if row[0].endswith("…")] == [
        ["cdcdcd…", "APNs", "rejected", "BadDeviceToken"]
    ]


def test_devices_and_topics_at_google_go_in_one_list(pushtasks, here, running_up):
    ran = pushtasks(
        "send", "gcm", "abc", "--topic", "news", "--title", "Hi", "--dry-run", "--json", **here
    )

    [task] = ran.json()["tasks"]
    assert (ran.status, task["result"]["accepted"]) == (0, 2)
    received = Control(running_up["control"]).received()
    assert [one["payload"]["validate_only"] for one in received if one["token"] == "abc"] == [True]


def test_task_ids_are_printed_without_a_wait(pushtasks, here):
    ran = pushtasks("send", "apns", GOOD, "--alert", "Hello", "--no-wait", **here)

    assert (ran.status, len(ran.out.strip())) == (0, 36)


def test_directly_it_needs_no_broker(pushtasks, emulator):
    settings = str(emulator.directory / "pushtasks.toml")

    ran = pushtasks(
        "send", "apns", GOOD, "--alert", "Hello", "--direct", "--json",
        PUSHTASKS_CONFIG=settings, PUSHTASKS_BROKER_URL="redis://127.0.0.1:1/0",
    )  # fmt: skip

    assert ran.status == 0
    assert ran.json()["tasks"][0]["result"]["outcome"] == "accepted"
    assert [entry["token"] for entry in emulator.received()] == [GOOD]


def test_without_a_worker_it_says_so_and_waits_until_the_time_is_up(pushtasks, redis_server):
    redis_server.flush()

    ran = pushtasks(
        "send", "apns", GOOD, "--alert", "Hello", "--timeout", "3",
        PUSHTASKS_BROKER_URL=redis_server.url(),
    )  # fmt: skip

    redis_server.flush()
    assert ran.status == 1
    first, second = ran.err.splitlines()
    assert first.startswith("pushtasks: no worker answers on queue push: start one with  celery -A")
    assert second.endswith("within 3 s (PENDING)")


WRONG_USES = {
    "nobody to send to": ["apns"],
    "nothing to send: give --payload, or --alert": ["apns", GOOD],
    "--payload says it all: leave out --alert": [
        "apns",
        GOOD,
        "--payload",
        PAYLOAD,
        "--alert",
        "x",
    ],
    "the text given is not JSON": ["apns", GOOD, "--payload", "{"],
    "'nofile' cannot be read (No such file": ["apns", GOOD, "--payload", "nofile"],
    "'nofile' cannot be read (No such": ["apns", "--tokens", "nofile", "--alert", "x"],
    "cannot both be read from standard input": ["apns", "--tokens", "-", "--payload", "-"],
    "one id is for one device": ["apns", GOOD, DEAD, "--alert", "x", "--apns-id", "1"],
    "device token 'xyz' has": ["apns", "xyz", "--alert", "x", "--direct"],
    "payload: 'nope' is no known field": ["gcm", "abc", "--payload", '{"nope": 1}', "--direct"],
    "is not one of 'production', 'sandbox'": ["apns", GOOD, "--alert", "x", "--environment", "y"],
}


@pytest.mark.parametrize("told", WRONG_USES)
def test_wrong_use_is_told_in_a_line(told, pushtasks):
    ran = pushtasks("send", *WRONG_USES[told])

    assert (ran.status, ran.out) == (2, "")
    assert told in ran.error


@pytest.mark.parametrize(
    ("variables", "status", "told"),
    [
        ({"PUSHTASKS_BROKER_URL": "redis://:secret@127.0.0.1:1/0"}, 1, "127.0.0.1:1/0 cannot be"),
        ({"PUSHTASKS_BROKER_URL": "nonsense://x"}, 1, "No such transport: nonsense"),
        ({"PUSHTASKS_VISIBILITY_TIMEOUT": "x"}, 2, "'x' is no whole number above 0"),
        ({"PUSHTASKS_CONFIG": "nofile.toml"}, 2, "nofile.toml cannot be read"),
    ],
)
def test_a_wrong_environment_is_told_in_a_line(variables, status, told, pushtasks):
    ran = pushtasks(
        "send",
        "apns",
        GOOD,
        "--alert",
        "x",
        *(["--direct"] if "PUSHTASKS_CONFIG" in variables else []),
        **variables,
    )

    assert (ran.status, ran.out, told in ran.error) == (status, "", True)
    assert "secret" not in ran.err


def test_settings_without_the_app_fail_the_push(pushtasks):
    ran = pushtasks("send", "apns", GOOD, "--alert", "x", "--direct", "--json")

    [task] = json.loads(ran.out)["tasks"]
    assert (ran.status, task["error"]["type"]) == (1, "InvalidPush")
    assert "add [apns.default] to" in task["error"]["message"]
