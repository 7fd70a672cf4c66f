"""Fan-outs by the command line, through the worker of `pushtasks up`, to pretend providers."""

import json
import re
import signal

import pytest

from pushtasks.adapters.cli.control import Control

DEAD = "cd" * 32
HELLO = '{"aps": {"alert": "Hello"}}'
ID = re.compile(r"\b[0-9a-f]{12}\b")
KEYS = [
    "id", "devices", "accepted", "rejected", "not_sent", "maybe_sent", "invalid", "repeated",
    "seconds",
]  # fmt: skip


def tokens(count, first=1):
    return [f"{number:064x}" for number in range(first, first + count)]


@pytest.fixture
def file(tmp_path):
    """(text, name) → the name of a file in the folder of the command."""

    def write(text, name="tokens.csv"):
        (tmp_path / name).write_text(text)
        return name

    return write


@pytest.fixture
def slow(running_up):
    """Providers that answer after a while, until the test is over."""
    control = Control(running_up["control"])
    control._call("POST", "/faults", {"service": "apns", "delay": 0.5})
    yield
    control._call("DELETE", "/faults")


@pytest.fixture
def reading(launch, pushtasks, here):
    """A fan-out of which 20 devices are published, and the process that waits for more; its id."""
    process = launch(
        "fanout", "apns", "--tokens", "-", "--payload", HELLO, "--chunk", "10", "--json", **here
    )
    process.stdin.write("".join(f"{token}\n" for token in tokens(20)))
    process.stdin.flush()
    return process, newest(pushtasks, here, devices=20)


def failures(pushtasks, here, id_):
    return [
        json.loads(line) for line in pushtasks("fanout", "failures", id_, **here).out.splitlines()
    ]


def test_a_file_goes_to_all_its_devices_and_ends_with_a_line_of_totals(pushtasks, here, file):
    name = file("id,token\n" + "".join(f"{n},{token}\n" for n, token in enumerate(tokens(1200))))
    payload = file(HELLO, "payload.json")

    ran = pushtasks(
        "fanout",
        "apns",
        "--tokens",
        name,
        "--payload",
        payload,
        "--json",
        "--priority",
        "5",
        **here,
    )

    assert (ran.status, ran.err, len(ran.out.splitlines())) == (0, "", 1)
    totals = ran.json()
    assert list(totals) == KEYS
    assert (totals["devices"], totals["accepted"]) == (1200, 1200)


def test_a_table_says_what_became_of_all(pushtasks, here, file, script):
    script(DEAD, {"reason": "Unregistered", "timestamp": 1_767_225_600_000})
    name = file("\n".join([*tokens(10), DEAD]), "tokens.txt")

    ran = pushtasks("fanout", "apns", "--tokens", name, "--payload", HELLO, **here)

    rows = dict(row for row in ran.rows if len(row) == 2)
    assert ran.status == 1
    assert (rows["devices"], rows["accepted"], rows["rejected"]) == ("11", "10", "1")
    [id_] = {*ID.findall(ran.out)}
    assert ran.err == (
        f"pushtasks: each device that failed, and why:  pushtasks fanout failures {id_}\n"
    )


def test_standard_input_may_hold_json_with_payloads_of_its_own(pushtasks, here, running_up):
    first, second = tokens(2, first=5000)
    lines = [json.dumps({"token": first, "payload": {"aps": {"alert": "own"}}}), json.dumps(second)]

    ran = pushtasks(
        "fanout", "apns", "--tokens", "-", "--payload", HELLO, "--json",
        given="\n".join(lines), **here,
    )  # fmt: skip

    received = Control(running_up["control"]).received()
    alerts = {one["token"]: one["payload"]["aps"]["alert"] for one in received}
    assert (ran.status, ran.json()["accepted"]) == (0, 2)
    assert (alerts[first], alerts[second]) == ("own", "Hello")


def test_devices_of_both_providers_go_in_one_stream(pushtasks, here, file):
    apns = [f"apns,{token}" for token in tokens(3, first=7000)]
    name = file("\n".join([*apns, "gcm,a:b", "gcm,c:d"]))

    ran = pushtasks("fanout", "mixed", "--tokens", name, "--payload", '"Hi"', "--json", **here)

    assert (ran.status, ran.json()["accepted"]) == (0, 5)


def test_what_is_wrong_with_a_line_is_told_with_its_number_and_the_rest_goes(pushtasks, here, file):
    first, second, third = tokens(3, first=100)
    large = json.dumps({"token": second, "payload": "x" * 5000})
    name = file(f'"{first}"\n"nonsense"\n{large}\n{{"token"\n"{third}"\n', "tokens.jsonl")

    ran = pushtasks("fanout", "apns", "--tokens", name, "--payload", HELLO, "--json", **here)

    totals = ran.json()
    assert (ran.status, totals["devices"], totals["accepted"], totals["invalid"]) == (1, 5, 2, 3)
    told = failures(pushtasks, here, totals["id"])
    assert [(one["line"], one["token"]) for one in told] == [
        (2, "nonsense"),
        (3, second),
        (4, ""),
    ]
    assert "no hexadecimal digits" in told[0]["reason"]
    assert "5020 bytes" in told[1]["reason"]
    assert "not JSON" in told[2]["reason"]


def test_an_empty_file_is_told(pushtasks, here, file):
    ran = pushtasks("fanout", "apns", "--tokens", file(""), "--payload", HELLO, "--json", **here)

    assert (ran.status, ran.json()["devices"]) == (1, 0)
    assert "there was no device" in ran.err


def test_a_key_is_sent_once(pushtasks, here, file):
    name = file("\n".join(tokens(3)))
    arguments = ["fanout", "apns", "--tokens", name, "--payload", HELLO, "--key", "news", "--json"]

    first, again = (pushtasks(*arguments, **here) for _ in range(2))

    assert (first.status, again.status) == (0, 0)
    assert first.json() == again.json()


def test_detached_it_returns_once_all_is_published(pushtasks, here, file, slow):
    name = file("\n".join(tokens(20)))

    ran = pushtasks(
        "fanout", "apns", "--tokens", name, "--payload", HELLO, "--detach", "--json", **here
    )

    id_ = ran.json()["id"]
    assert (ran.status, ran.json()["state"]) == (0, "running")
    assert f"watch it with:  pushtasks fanout status {id_}" in ran.err
    waited = pushtasks("fanout", "wait", id_, "--json", **here)
    assert (waited.status, waited.json()["accepted"]) == (0, 20)


# Ctrl-C -----------------------------------------------------------------------------------------


def test_ctrl_c_in_the_progress_bar_leaves_it_running_and_says_how_to_go_on(
    terminal, pushtasks, here, file, slow
):
    name = file("\n".join(tokens(30)))
    shown = terminal("fanout", "apns", "--tokens", name, "--payload", HELLO, **here)
    shown.read_until("0 of 30")

    shown.type("\x03")
    status = shown.wait()

    told = shown.text.replace("\r\n", "\n")
    [id_] = {*re.findall(r"pushtasks fanout status ([0-9a-f]{12})", told)}
    assert status == 0
    assert f"fan-out {id_} goes on by itself, as long as there are workers\n" in told
    assert f"cancel it with:  pushtasks fanout cancel {id_}\n" in told
    done = pushtasks("fanout", "wait", id_, "--timeout", "20", "--json", **here)
    assert done.json()["accepted"] == 30


def test_ctrl_c_while_it_is_published_says_how_to_resume(reading, pushtasks, here):
    process, id_ = reading

    process.send_signal(signal.SIGINT)
    out, told = process.communicate(timeout=20)

    assert (process.returncode, json.loads(out)["devices"]) == (1, 20)
    assert "publishing has stopped after 20 devices, which are sent all the same" in told
    assert f"go on with:  pushtasks fanout resume {id_} --tokens -" in told
    again = pushtasks(
        "fanout", "resume", id_, "--tokens", "-", "--json", given="\n".join(tokens(25)), **here
    )
    assert (again.status, again.json()["accepted"]) == (0, 25)


def newest(pushtasks, here, *, devices):
    """Return the id of the newest fan-out once so many of its devices are published."""
    for _ in range(50):
        listed = pushtasks("fanout", "list", "--count", "1", "--json", **here).json()["fanouts"]
        if listed and listed[0]["devices"] == devices and not listed[0]["source_ended"]:
            return listed[0]["id"]
    pytest.fail("it was not published")


# From another terminal --------------------------------------------------------------------------


def test_it_is_paused_and_resumed_from_elsewhere(reading, pushtasks, here):
    process, id_ = reading

    paused = pushtasks("fanout", "pause", id_, **here)
    process.stdin.write("\n".join(tokens(20, first=21)))
    process.stdin.close()
    listed = pushtasks("fanout", "list", **here)
    status = pushtasks("fanout", "status", id_, "--json", **here).json()
    resumed = pushtasks("fanout", "resume", id_, "--json", **here)
    process.wait(20)

    assert paused.out.startswith(f"fan-out {id_} is paused: ")
    assert next(row for row in listed.rows if row[0] == id_)[1:3] == ["apns.default", "paused"]
    assert (status["state"], status["source_ended"], status["devices"]) == ("paused", False, 20)
    assert (process.returncode, resumed.status, resumed.json()["accepted"]) == (0, 0, 40)


def test_it_is_cancelled_from_elsewhere(reading, pushtasks, here):
    process, id_ = reading

    cancelled = pushtasks("fanout", "cancel", id_, "--json", **here)
    out, _ = process.communicate("\n".join(tokens(20, first=21)), timeout=20)

    assert (cancelled.status, cancelled.json()["state"]) == (0, "cancelled")
    totals = json.loads(out)
    assert (process.returncode, totals["state"], totals["devices"]) == (1, "cancelled", 20)
    assert totals["accepted"] + totals["not_sent"] == 20


def test_the_status_is_watched_on_a_terminal(terminal, pushtasks, here, file, slow):
    name = file("\n".join(tokens(30)))
    begun = pushtasks(
        "fanout", "apns", "--tokens", name, "--payload", HELLO, "--detach", "--json", **here
    ).json()["id"]

    shown = terminal("fanout", "status", begun, **here)

    assert shown.wait() == 0
    assert "finished" in shown.text


def test_failures_are_masked_on_a_terminal_only(terminal, pushtasks, here, file):
    name = file("\n".join([*tokens(1), "ab" * 32 + "x"]))
    arguments = ["--tokens", name, "--payload", HELLO, "--json"]
    id_ = pushtasks("fanout", "apns", *arguments, **here).json()["id"]

    shown = terminal("fanout", "failures", id_, columns=400, **here)
    shown.wait()

    assert '"token": "ababab…"' in shown.text
    assert failures(pushtasks, here, id_)[0]["token"] == "ab" * 32 + "x"


# Mistakes ---------------------------------------------------------------------------------------

WRONG_USES = {
    "nothing to send: give --payload": ["apns", "--tokens", "-"],
    "nobody to send to: give either": ["apns", "--payload", HELLO],
    "cannot both be read from standard input": ["apns", "--tokens", "-", "--payload", "-"],
    "'nofile' cannot be read (No such file": ["apns", "--tokens", "nofile", "--payload", HELLO],
    "'nopayload' cannot be read": ["apns", "--tokens", "-", "--payload", "nopayload"],
    "is not in the range 1<=x<=1000": ["apns", "--tokens", "-", "--payload", "{}", "--chunk", "0"],
    "'xml' is not one of": ["apns", "--tokens", "-", "--payload", HELLO, "--format", "xml"],
    "priority 3": ["apns", "--tokens", "-", "--payload", HELLO, "--priority", "3"],
    "app 'nope' is not in the apns settings": [
        "apns", "--tokens", "-", "--payload", HELLO, "--app", "nope",
    ],
    "'nope' is no known field": ["gcm", "--tokens", "-", "--payload", '{"nope": 1}'],
    "devices are mixed: give a text": ["mixed", "--tokens", "-", "--payload", HELLO],
    "fan-out 'nope' is not known": ["resume", "nope"],
}  # fmt: skip


@pytest.mark.parametrize("told", WRONG_USES)
def test_wrong_use_is_told_in_a_line(told, pushtasks, here):
    ran = pushtasks("fanout", *WRONG_USES[told], given="", **here)

    assert (ran.status, ran.out) == (2, "")
    assert told in ran.error


def test_what_is_refused_is_not_begun(pushtasks, redis_server):
    redis_server.flush()
    here = {"PUSHTASKS_BROKER_URL": redis_server.url()}

    ran = pushtasks("fanout", *WRONG_USES["priority 3"], given=DEAD, **here)
    listed = pushtasks("fanout", "list", "--json", **here)

    assert (ran.status, listed.json()) == (2, {"fanouts": []})


def test_without_a_broker_nothing_begins(pushtasks, file):
    ran = pushtasks(
        "fanout", "apns", "--tokens", file(tokens(1)[0]), "--payload", HELLO,
        PUSHTASKS_BROKER_URL="redis://127.0.0.1:1/0",
    )  # fmt: skip

    assert (ran.status, ran.out) == (1, "")
    assert "127.0.0.1:1/0 cannot be reached" in ran.error


def test_without_a_worker_it_says_so(pushtasks, redis_server, file):
    redis_server.flush()
    name = file(tokens(1)[0])
    arguments = ["--tokens", name, "--payload", HELLO, "--detach", "--json"]
    here = {"PUSHTASKS_BROKER_URL": redis_server.url()}
    id_ = pushtasks("fanout", "apns", *arguments, **here).json()["id"]

    ran = pushtasks("fanout", "wait", id_, "--timeout", "5", **here)

    redis_server.flush()
    assert ran.status == 1
    first, second = ran.err.splitlines()
    assert first.startswith(
        "pushtasks: no worker answers on queue push.bulk: start one with  celery"
    )
    assert second == f"Error: fan-out {id_} is not over within 5 s"
