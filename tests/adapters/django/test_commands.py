"""`manage.py push` and `manage.py push_feedback`, called in this process."""

import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command, load_command_class
from phones.models import Phone

from pushtasks import fanout, feedback
from pushtasks.adapters.django.signals import token_expired
from pushtasks.news import Kind, News
from pushtasks.store import current_store

TOKEN, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def run():
    """(command line) → its exit status, standard output and standard error."""

    def call(*line, **options):
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command(*line, stdout=out, stderr=err, **options)
        except SystemExit as stopped:
            return stopped.code, out.getvalue(), err.getvalue()
        return 0, out.getvalue(), err.getvalue()

    return call


# push -------------------------------------------------------------------------------------------


def test_a_push_goes_to_whom_filters_leave_and_its_end_is_told(run, host, emulator, make_phone):
    make_phone(TOKEN)
    make_phone(OTHER, owner="bob")
    make_phone("id", provider="gcm", owner="eve")

    status, out, err = run("push", "Hi", "--filter", "owner__in=ada,eve", "--collapse-id", "x")

    [google, apple] = fanout.recent()
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        f"fan-out {apple.id}: to apns/default",
        f"fan-out {google.id}: to gcm/default",
        f"fan-out {apple.id}: 1 device of apns/default: 1 accepted",
        f"fan-out {google.id}: 1 device of gcm/default: 1 accepted",
    ]
    assert sorted(one["token"] for one in emulator.received()) == [TOKEN, "id"]


def test_a_device_that_is_not_accepted_is_exit_status_1(run, host, emulator, make_phone):
    make_phone(TOKEN)
    emulator.control("PUT", f"/tokens/{TOKEN}", {"reason": "Unregistered"})

    status, out, err = run("push", "Hi")

    [ended] = fanout.recent()
    told = f"fan-out {ended.id}: 1 device of apns/default: 1 rejected"
    assert (status, out.splitlines()[-1]) == (1, told)
    assert err == f"each failure, and why:  pushtasks fanout failures {ended.id}\n"
    assert TOKEN not in out + err


def test_nobody_to_send_to_is_said(run, host, make_phone):
    make_phone(TOKEN, is_active=False)

    assert run("push", "Hi") == (0, "", "No active device: nothing was sent.\n")


@pytest.mark.parametrize("form", ["text", "file"])
def test_a_payload_is_json_or_in_a_file(form, run, host, emulator, make_phone, tmp_path):
    make_phone(TOKEN)
    payload = {"aps": {"alert": "Hi", "badge": 1}}
    (tmp_path / "payload.json").write_text(json.dumps(payload))
    given = json.dumps(payload) if form == "text" else str(tmp_path / "payload.json")

    assert run("push", "--payload", given, "--priority", "5", "--detach")[0] == 0

    [arrived] = emulator.received()
    assert arrived["payload"] == payload
    assert arrived["headers"]["apns-priority"] == "5"


def test_the_same_key_is_sent_once(run, host, emulator, make_phone):
    make_phone(TOKEN)

    first, again = (run("push", "Hi", "--key", "news")[1].splitlines() for _ in range(2))

    assert first[-1:] == again
    assert len(emulator.received()) == 1


def test_a_stopped_fanout_is_resumed(run, host, emulator, make_phone, monkeypatch):
    for number in range(4):
        make_phone(f"{number:064x}")
    monkeypatch.setattr("pushtasks.fanout.publisher.REPORT", 0.0)

    def stop(fanout):
        if fanout.chunks_published:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Phone.objects.all().push("Hi", chunk=1, progress=stop)
    [stopped] = fanout.recent()

    status, out, _ = run("push", "--resume", stopped.id)

    told = f"fan-out {stopped.id}: 4 devices of apns/default: 4 accepted"
    assert (status, out.splitlines()[-1]) == (0, told)
    assert len(emulator.received()) == 4


def test_ctrl_c_says_how_to_go_on(run, host, emulator, make_phone, monkeypatch):
    make_phone(TOKEN)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    goes_on = "Stopped; what is with the workers is sent: "
    monkeypatch.setattr(fanout, "wait", interrupt)
    status, _, err = run("push", "Hi")
    [latest] = fanout.recent()
    watch = f"watch it with  pushtasks fanout status {latest.id}\n"
    assert (status, err) == (1, goes_on + watch)

    monkeypatch.setattr("pushtasks.fanout.publisher.cut", interrupt)
    status, _, err = run("push", "Hi")
    [latest, _] = fanout.recent()
    resume = f"publish the rest with  push --resume {latest.id}  and the same filters\n"
    assert (status, err) == (1, goes_on + resume)

    monkeypatch.setattr(fanout, "start", interrupt)
    assert run("push", "Hi") == (1, "", "Stopped: nothing was sent.\n")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ([], "give a text, or --payload, and not both"),
        (["Hi", "--payload", "{}"], "give a text, or --payload, and not both"),
        (["--payload", "{"], "--payload: this is not JSON: Expecting property name"),
        (["--payload", "none.json"], "'none.json' cannot be read (No such file or directory)"),
        (["Hi", "--filter", "owner"], "--filter: 'owner' is no FIELD=VALUE, such as provider=apns"),
        (["Hi", "--filter", "colour=red"], "--filter: Cannot resolve keyword 'colour' into field."),
        (["Hi", "--filter", "id=x"], "--filter: Field 'id' expected a number but got 'x'."),
        (["Hi", "--filter", "registered_at=x"], "--filter: “x” value has an invalid format."),
        (["Hi", "--model", "auth.User"], "'auth.User' is no model of devices; there are phones.Ph"),
        (["Hi", "--model", "phones"], "'phones' is no model of devices; there are phones.Phone"),
        (["Hi", "--priority", "3"], "priority 3"),
        (["--resume", "none"], "fan-out 'none' is not known"),
    ],
)
def test_a_mistake_is_told_in_one_line(line, told, run, host, make_phone, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_phone(TOKEN)

    with pytest.raises(CommandError) as refused:
        run("push", *line)

    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


# push_feedback ----------------------------------------------------------------------------------


@pytest.fixture
def stream(host, news):
    """(entries) → they are in the feedback stream."""

    def record(*entries):
        found = [
            News(**{name: getattr(one, name) for name in News.__match_args__}) for one in entries
        ]
        current_store(host).record(found, ())

    return record


def left(group="django"):
    """Return what a reader of the group would be given, taken or not."""
    return [one.token for one in feedback.read(group, again_after=0)]


def test_what_is_in_the_stream_is_taken_once(run, stream, make_phone, news, rows):
    make_phone(TOKEN)
    make_phone("old", provider="gcm")
    given = {"kind": Kind.REPLACED, "provider": "gcm", "canonical_id": "new"}
    stream(news(TOKEN), news("old", **given))

    assert run("push_feedback", "--once") == (0, "1 expired, 1 replaced\n", "")

    assert rows() == {TOKEN: (False, "gone"), "new": (True, "")}
    assert left() == []
    assert run("push_feedback", "--once") == (0, "", "")


def test_it_is_taken_in_transactions_of_the_size_that_is_asked_for(run, stream, news):
    stream(*[news(f"{number:02x}") for number in range(5)])

    _, out, _ = run("push_feedback", "--once", "--count", "2")

    assert out == "2 expired\n2 expired\n1 expired\n"


def test_other_groups_are_given_all_of_it_again(run, stream, news):
    stream(news(TOKEN))

    assert run("push_feedback", "--once", "-v", "0") == (0, "", "")
    assert run("push_feedback", "--once", "--group", "eu") == (0, "1 expired\n", "")


def test_nothing_is_acknowledged_that_the_database_has_not_committed(
    run, stream, news, make_phone, rows, table_away
):
    make_phone(TOKEN)
    stream(news(TOKEN))

    with table_away(), pytest.raises(CommandError, match="phones_phone"):
        run("push_feedback", "--once")

    assert rows()[TOKEN][0] is True
    assert left() == [TOKEN]


def test_what_a_receiver_fails_on_comes_again(run, stream, news, make_phone, rows):
    def fail(entry, **_):
        if entry.token == TOKEN:
            raise RuntimeError

    make_phone(TOKEN)
    stream(news(TOKEN), news(OTHER))
    token_expired.connect(fail)
    try:
        with pytest.raises(CommandError, match="1 entries come again: receivers of Django's"):
            run("push_feedback", "--once")
    finally:
        token_expired.disconnect(fail)

    assert left() == [TOKEN]


def test_a_device_that_registers_meanwhile_stays(run, stream, news, make_phone, rows):
    phone = make_phone(TOKEN)
    stream(news(TOKEN))
    phone.registered_at += timedelta(minutes=2)
    phone.save()

    run("push_feedback", "--once")

    assert rows()[TOKEN][0] is True


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["--count", "0"], "--count: 0 is too few; give 1 or more"),
        (["--group", "pushtasks.x"], "--group: names like 'pushtasks.x' are ours; choose another"),
    ],
)
def test_a_command_line_that_cannot_be_used_is_told(line, told, run, host):
    with pytest.raises(CommandError) as refused:
        run("push_feedback", "--once", *line)

    assert str(refused.value) == told


def test_a_redis_that_is_away_is_told(run, host, free_port):
    host.conf.pushtasks = {"redis_url": f"redis://127.0.0.1:{free_port}/0"}

    with pytest.raises(CommandError, match=f"Redis at 127.0.0.1:{free_port}/0"):
        run("push_feedback", "--once")


@pytest.mark.parametrize("command", ["push", "push_feedback"])
def test_the_help_has_examples_and_fits_a_terminal(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")

    load_command_class("pushtasks.adapters.django", command).print_help("manage.py", command)

    out = capsys.readouterr().out
    assert f"\nexample:\n  manage.py {command}" in out
    assert max(map(len, out.splitlines())) <= 90
