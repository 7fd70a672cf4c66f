import json

import pytest

CHANNELS = "/1/apps/com.example.app/channels"
BROADCAST = "/4/broadcasts/apps/com.example.app"
UPDATE = b'{"aps":{"event":"update","timestamp":1,"content-state":{}}}'


def call(apns, method, path, body=b"", **changes):
    headers = apns.push_headers(apns_topic=None, apns_push_type=None, **changes)
    return apns.request(path, headers, body, method=method)


def create(apns, policy=0):
    body = {"message-storage-policy": policy, "push-type": "LiveActivity"}
    answered = call(apns, "POST", CHANNELS, json.dumps(body).encode())
    assert answered.status == 201
    return answered.headers["apns-channel-id"]


def broadcast(apns, body=UPDATE, **changes):
    headers = {
        "apns_topic": None,
        "apns_push_type": "liveactivity",
        "apns_expiration": "0",
        "apns_priority": "10",
    }
    return apns.request(BROADCAST, apns.push_headers(**(headers | changes)), body)


def test_a_channel_lives_from_its_creation_to_its_deletion(apns):
    channel_id = create(apns, 1)
    answered = call(apns, "GET", CHANNELS, apns_channel_id=channel_id)
    assert answered.json() == {"message-storage-policy": 1, "push-type": "LiveActivity"}
    everything = "/1/apps/com.example.app/all-channels"
    assert channel_id in call(apns, "GET", everything).json()["channels"]
    assert call(apns, "DELETE", CHANNELS, apns_channel_id=channel_id).status == 204
    assert channel_id not in call(apns, "GET", everything).json()["channels"]
    answered = call(apns, "GET", CHANNELS, apns_channel_id=channel_id)
    assert (answered.status, answered.json()) == (400, {"reason": "ChannelNotRegistered"})


def test_a_request_id_is_echoed(apns):
    answered = call(apns, "GET", CHANNELS, apns_request_id="mine")
    assert answered.headers["apns-request-id"] == "mine"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b'{"push-type":"LiveActivity"}',
        b'{"message-storage-policy":2,"push-type":"LiveActivity"}',
        b'{"message-storage-policy":true,"push-type":"LiveActivity"}',
        b'{"message-storage-policy":[],"push-type":"LiveActivity"}',
        b'{"message-storage-policy":1,"push-type":"Alert"}',
    ],
)
def test_a_channel_that_makes_no_sense_is_refused(apns, body):
    answered = call(apns, "POST", CHANNELS, body)
    assert (answered.status, answered.json()) == (400, {"reason": "BadRequestPayload"})


@pytest.mark.parametrize(
    ("method", "path", "changes", "refusal"),
    [
        ("GET", CHANNELS, {}, (400, "MissingChannelId")),
        ("GET", CHANNELS, {"apns_channel_id": "?"}, (400, "BadChannelId")),
        ("DELETE", CHANNELS, {"apns_channel_id": "AAAA"}, (400, "ChannelNotRegistered")),
        ("PUT", CHANNELS, {}, (405, "MethodNotAllowed")),
        ("GET", "/1/apps/x", {}, (404, "BadPath")),
        ("GET", CHANNELS, {"authorization": None}, (403, "MissingProviderToken")),
    ],
)
def test_what_cannot_be_managed_is_refused(apns, method, path, changes, refusal):
    answered = call(apns, method, path, **changes)
    assert (answered.status, answered.json()["reason"]) == refusal


def test_a_broadcast_is_accepted_and_received(emulator, apns):
    channel_id = create(apns)
    assert broadcast(apns, apns_channel_id=channel_id, apns_request_id="r").status == 200
    entry = emulator.received()[-1]
    assert (entry["token"], entry["payload"]) == (channel_id, json.loads(UPDATE))


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"apns_channel_id": None}, 400, "MissingChannelId"),
        ({"apns_push_type": None}, 400, "MissingPushType"),
        ({"apns_push_type": "alert"}, 400, "InvalidPushType"),
        ({"apns_expiration": None}, 400, "BadExpirationDate"),
        ({"apns_expiration": "1700000000"}, 400, "BadExpirationDate"),
        ({"apns_priority": "7"}, 400, "BadPriority"),
        ({"body": b""}, 400, "PayloadEmpty"),
        ({"body": b'{"aps":{"event":"start"}}'}, 400, "BadRequestPayload"),
        ({"body": b'{"aps":[]}'}, 400, "BadRequestPayload"),
        ({"body": b"x" * 5121}, 413, "PayloadTooLarge"),
        ({"authorization": None}, 403, "MissingProviderToken"),
    ],
)
def test_what_apple_does_not_broadcast_is_refused(apns, changes, status, reason):
    answered = broadcast(apns, **({"apns_channel_id": create(apns)} | changes))
    assert (answered.status, answered.json()) == (status, {"reason": reason})


def test_a_stored_broadcast_may_expire_later(apns):
    channel_id = create(apns, 1)
    assert broadcast(apns, apns_channel_id=channel_id, apns_expiration="1700000000").status == 200
