"""The client of a binary gateway, against the emulator."""

import socket
import time
from datetime import UTC, datetime, timedelta

import pytest

from pushtasks.apns.gateway import GatewayClient
from pushtasks.apns.notification import EPOCH, notification
from pushtasks.config import load_settings
from pushtasks.emulator import Emulator
from pushtasks.errors import InvalidPush


def settings_of(emulator, **values):
    environ = {"PUSHTASKS_CONFIG": str(emulator.directory / "pushtasks.toml")}
    return load_settings({"apns": {"classic": values}}, environ=environ).apns_app("classic")


@pytest.fixture
def client_of(emulator):
    """(…settings) → a client of the app `classic`; the function's `late` has what came late."""
    clients = []

    def make(**values):
        app = settings_of(emulator, **{"assume_sent": 0.1, **values})
        late = make.late
        made = GatewayClient(app, "production", lambda *one: late.append(one))
        clients.append(made)
        return made

    make.late = []
    yield make
    for client in clients:
        client.close(0)


def token(number):
    return f"{number:064x}"


def frames(client, numbers, payload="Hi", **options):
    common = notification(payload, topic=None, **options)
    return [client.push(token(number), common, "unused") for number in numbers]


def test_a_notification_arrives_as_it_was_meant(client_of, emulator):
    client = client_of()
    expiration = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    background = {"aps": {"content-available": 1}}

    [verdict] = client.send(frames(client, [7], background, expiration=expiration))

    assert (verdict.status, verdict.reason, verdict.message_id) == (0, None, "1")
    [entry] = emulator.received()
    assert (entry["service"], entry["token"], entry["payload"]) == ("gateway", token(7), background)
    assert entry["frame"]["command"] == 2
    assert entry["frame"]["expiration"] == expiration.timestamp()
    assert entry["frame"]["priority"] == 5


@pytest.mark.parametrize("command", [0, 1])
def test_older_commands_reach_older_gateways(client_of, emulator, command):
    client = client_of(command=command)

    [verdict] = client.send(frames(client, [7]))

    assert verdict.reason is None
    [entry] = emulator.received()
    assert entry["frame"]["command"] == command


def test_without_an_expiration_it_is_kept_for_a_month_and_for_0_not_at_all(client_of):
    client = client_of()

    [kept] = frames(client, [1])
    [once] = frames(client, [1], expiration=EPOCH)

    month = datetime.now(UTC).timestamp() + 30 * 86400
    assert month - 5 < kept.expiration <= month + 5
    assert once.expiration == 0


def test_a_refused_token_has_its_status_and_the_rest_is_accepted(client_of, emulator):
    emulator.control("PUT", f"/tokens/{token(3)}", {"reason": "InvalidToken"})
    client = client_of()

    verdicts = client.send(frames(client, range(8)), is_list=True)

    assert [(v.status, v.reason) for v in verdicts] == [
        (8, "InvalidToken") if n == 3 else (0, None) for n in range(8)
    ]
    accepted = [e["token"] for e in emulator.received() if e["answer"]["reason"] is None]
    assert accepted == [token(n) for n in range(8) if n != 3]
    assert client.connections_opened == 2


def test_a_list_can_be_confirmed_by_a_sentinel(client_of, emulator):
    client = client_of(confirm="sentinel", assume_sent=60.0)

    verdicts = client.send(frames(client, range(100)), is_list=True)

    assert [verdict.reason for verdict in verdicts] == [None] * 100


@pytest.mark.parametrize("faults", [{"shutdown_every": 4}, {"delay": 0.05}])
def test_what_the_gateway_threw_away_is_accepted_once(client_of, emulator, faults):
    emulator.control("PUT", f"/tokens/{token(5)}", {"reason": "InvalidToken"})
    emulator.control("POST", "/faults", {"service": "gateway", **faults})
    client = client_of(assume_sent=0.3)

    verdicts = client.send(frames(client, range(30)), is_list=True)

    refused = [n for n, verdict in enumerate(verdicts) if verdict.reason]
    assert refused == [5]
    accepted = [e["token"] for e in emulator.received() if e["answer"]["reason"] is None]
    assert accepted == [token(n) for n in range(30) if n != 5]


@pytest.mark.parametrize("fault", [{"reset_after": 3}, {"close_after": 3}])
def test_a_connection_that_ends_without_an_answer_leaves_it_open(client_of, emulator, fault):
    emulator.control("POST", "/faults", {"service": "gateway", "times": 1, **fault})
    client = client_of()

    verdicts = client.send(frames(client, range(3)))

    assert all(verdict.status is None and verdict.maybe_sent for verdict in verdicts)
    assert client.send(frames(client, [9]))[0].reason is None


def test_a_refusal_that_names_nobody_leaves_it_open(client_of, emulator):
    emulator.control("PUT", f"/tokens/{token(5)}", {"reason": "InvalidToken"})
    emulator.control("POST", "/faults", {"service": "gateway", "identifier_zero": True})
    client = client_of()

    verdicts = client.send(frames(client, range(9)))

    assert all(verdict.status is None and verdict.maybe_sent for verdict in verdicts)
    assert "which is none of ours" in verdicts[0].reason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"collapse_id": "x"}, "collapse_id 'x': the binary gateway has none; leave it out"),
        ({"priority": 1}, "priority 1: a binary gateway with command 2 knows 10 or 5"),
        ({"payload": "x" * 2048}, "over the 2048 that a binary gateway takes with command 2"),
    ],
)
def test_what_the_wire_cannot_carry_is_refused_in_words(client_of, options, message):
    client = client_of()

    with pytest.raises(InvalidPush) as caught:
        frames(client, [1], **options)

    assert message in str(caught.value)


def test_an_old_command_carries_256_bytes_and_no_priority(client_of):
    client = client_of(command=1)

    with pytest.raises(InvalidPush, match="over the 256"):
        frames(client, [1], "x" * 256)
    with pytest.raises(InvalidPush, match="knows 10 only"):
        frames(client, [1], {"aps": {"content-available": 1}})


def test_a_token_longer_than_any_is_refused_masked(client_of):
    client = client_of()
    common = notification("Hi", topic=None)

    with pytest.raises(InvalidPush, match=r"'ababab…' has 101 bytes"):
        client.push("ab" * 101, common, "unused")


def test_a_gateway_of_ipv6_is_named_as_it_is_written(client_of):
    [verdict] = (client := client_of(gateway="[::1]:1")).send(frames(client, [1]))

    assert verdict.reason.startswith("[::1]:1 cannot be reached")


def test_a_gateway_is_reached_over_ipv6(tmp_path):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with Emulator(tmp_path, host="::1") as emulator:
        app = load_settings({}, environ={"PUSHTASKS_CONFIG": str(tmp_path / "pushtasks.toml")})
        client = GatewayClient(app.apns_app("classic"), "production", print)
        try:
            assert client.send(frames(client, [1]))[0].reason is None
        finally:
            client.close(1.0)
        assert emulator.endpoints.gateway.startswith("[::1]:")


def test_a_late_refusal_is_told_with_what_the_caller_calls_the_push(client_of, emulator):
    emulator.control("PUT", f"/tokens/{token(7)}", {"reason": "InvalidToken"})
    emulator.control("POST", "/faults", {"service": "gateway", "delay": 0.3})
    client = client_of(assume_sent=0.05)

    [verdict] = client.send([frames(client, [7])[0]._replace(label="order 42")])

    assert verdict.reason is None
    deadline = time.monotonic() + 10
    while not client_of.late:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    [(device, refusal, label)] = client_of.late
    assert (device, refusal.reason, label) == (token(7), "InvalidToken", "order 42")


def test_channels_came_later(client_of):
    with pytest.raises(InvalidPush, match="speaks the binary protocol, which has no channels"):
        client_of().channels()
