"""aioapns, which others wrote, against the pretend Apple."""

import asyncio
import ssl
from uuid import uuid4

import pytest
from aioapns import APNs, NotificationRequest, PushType
from aioapns.connection import APNsProductionClientProtocol

DEVICE = "ab" * 32


@pytest.fixture
def send(emulator):
    """Send these requests through one aioapns client and return its results."""
    host, port = emulator.endpoints.apns.removeprefix("https://").split(":")

    class ToEmulator(APNsProductionClientProtocol):
        APNS_SERVER = host
        APNS_PORT = int(port)

    async def send_all(requests, options):
        client = APNs(**options)
        client.pool.protocol_class = ToEmulator
        try:
            # The first alone, since aioapns never answers for a stream that is refused.
            first = await client.send_notification(requests[0])
            return [first, *await asyncio.gather(*map(client.send_notification, requests[1:]))]
        finally:
            client.pool.close()

    def send_requests(*requests, **changes):
        options = {
            "key": (emulator.directory / "apns-key.p8").read_text(),
            "key_id": "EMULATOR01",
            "team_id": "TEAM123456",
            "topic": "com.example.app",
            "max_connections": 1,
            "ssl_context": ssl.create_default_context(cafile=emulator.directory / "ca.pem"),
        } | changes
        return asyncio.run(send_all(requests, options))

    return send_requests


def alert(token=DEVICE, **options):
    return NotificationRequest(token, {"aps": {"alert": "Hi"}}, **options)


def test_a_push_is_accepted_under_its_id(emulator, send):
    notification_id = str(uuid4())
    options = {"time_to_live": 60, "priority": 10, "collapse_key": "score"}
    request = alert(notification_id=notification_id, push_type=PushType.ALERT, **options)
    (result,) = send(request)
    assert result.is_successful
    assert result.notification_id == notification_id
    (entry,) = emulator.received()
    assert (entry["token"], entry["payload"]) == (DEVICE, {"aps": {"alert": "Hi"}})
    assert entry["headers"]["apns-id"] == notification_id


def test_a_client_certificate_will_do(emulator, send, tmp_path):
    names = ("client.pem", "client-key.pem")
    combined = tmp_path / "combined.pem"
    combined.write_text("".join((emulator.directory / name).read_text() for name in names))
    options = {"key": None, "key_id": None, "team_id": None, "client_cert": str(combined)}
    (result,) = send(alert(), **options)
    assert result.is_successful


def test_a_dead_token_comes_with_its_time(emulator, send):
    script = {"reason": "Unregistered", "timestamp": 1700000000123}
    emulator.control("PUT", f"/tokens/{DEVICE}", script)
    (result,) = send(alert())
    assert (result.status, result.description) == ("410", "Unregistered")
    assert result.timestamp == 1700000000123


def test_a_broken_device_token_is_a_bad_one(send):
    (result,) = send(alert("xyz"))
    assert (result.status, result.description) == ("400", "BadDeviceToken")


def test_the_key_of_another_team_is_refused(send):
    (result,) = send(alert(), team_id="TEAM999999")
    assert (result.status, result.description) == ("403", "InvalidProviderToken")


def test_many_pushes_over_one_connection_are_each_received_once(emulator, send):
    emulator.control("POST", "/faults", {"delay": 0.02})
    tokens = [f"{number:064x}" for number in range(50)]
    results = send(*map(alert, tokens))
    assert all(result.is_successful for result in results)
    assert sorted(entry["token"] for entry in emulator.received()) == tokens
    assert emulator.control("GET", "/stats")["apns"]["connections_opened"] == 1
