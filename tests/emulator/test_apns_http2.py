import base64
import json
import re
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from h2.settings import SettingCodes

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
DEVICE = "ab" * 32


def test_a_sound_push_is_accepted_with_an_empty_body(apns):
    answered = apns.push()
    assert (answered.status, answered.body) == (200, b"")
    assert UUID.fullmatch(answered.headers["apns-id"])
    assert UUID.fullmatch(answered.headers["apns-unique-id"])


def test_the_apns_id_is_echoed_also_in_a_rejection(apns):
    apns_id = "5c754429-b513-4015-884b-4b493d937818"
    assert apns.push(apns_id=apns_id).headers["apns-id"] == apns_id
    rejected = apns.push(apns_id=apns_id, apns_priority="3")
    assert (rejected.status, rejected.headers["apns-id"]) == (400, apns_id)


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"apns_id": "no-uuid"}, 400, "BadMessageId"),
        ({"apns_id": "5C754429-B513-4015-884B-4B493D937818"}, 400, "BadMessageId"),
        ({"apns_topic": None}, 400, "MissingTopic"),
        ({"apns_topic": "com example"}, 400, "BadTopic"),
        ({"apns_topic": "com.example.app.voip"}, 400, "BadTopic"),
        ({"apns_push_type": "voip"}, 400, "BadTopic"),
        ({"apns_push_type": "loud"}, 400, "InvalidPushType"),
        ({"apns_collapse_id": "x" * 65}, 400, "BadCollapseId"),
        ({"apns_expiration": "tomorrow"}, 400, "BadExpirationDate"),
        ({"apns_expiration": "-1"}, 400, "BadExpirationDate"),
        ({"apns_priority": "7"}, 400, "BadPriority"),
        ({"apns_push_type": "background", "apns_priority": "10"}, 400, "BadPriority"),
        ({"apns_push_type": "background"}, 400, "BadPriority"),
        ({"authorization": None}, 403, "MissingProviderToken"),
        ({"authorization": "bearer rubbish"}, 403, "InvalidProviderToken"),
        ({"authorization": "basic rubbish"}, 403, "InvalidProviderToken"),
        ({"body": b""}, 400, "PayloadEmpty"),
        ({"body": b"no json"}, 400, "PayloadEmpty"),
        ({"body": b"[]"}, 400, "PayloadEmpty"),
        ({"body": b'"' + b"x" * 4095 + b'"'}, 413, "PayloadTooLarge"),
        ({"token": ""}, 400, "MissingDeviceToken"),
        ({"token": "abc"}, 400, "BadDeviceToken"),
        ({"token": "xy" * 32}, 400, "BadDeviceToken"),
        ({"token": f"{DEVICE}/"}, 400, "BadDeviceToken"),
    ],
)
def test_what_apple_refuses_is_refused(apns, changes, status, reason):
    answered = apns.push(**changes)
    assert (answered.status, answered.json()) == (status, {"reason": reason})


@pytest.mark.parametrize(
    ("push_type", "suffix"),
    [
        ("alert", ""),
        ("complication", ".complication"),
        ("controls", ".push-type.controls"),
        ("fileprovider", ".pushkit.fileprovider"),
        ("liveactivity", ".push-type.liveactivity"),
        ("location", ".location-query"),
        ("pushtotalk", ".voip-ptt"),
        ("voip", ".voip"),
        ("widgets", ".push-type.widgets"),
        (None, ".voip"),
    ],
)
def test_every_push_type_has_its_topic(apns, push_type, suffix):
    topic = f"com.example.app{suffix}"
    assert apns.push(apns_push_type=push_type, apns_topic=topic).status == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"apns_push_type": "background", "apns_priority": "5"},
        {"apns_priority": "1"},
        {"apns_expiration": "0"},
        {"apns_collapse_id": "x" * 64},
        {"token": "AB" * 50},
        {"body": b'{"a":"' + b"x" * 4088 + b'"}'},
    ],
)
def test_what_apple_takes_is_taken(apns, changes):
    assert apns.push(**changes).status == 200


@pytest.mark.parametrize(("size", "status"), [(5120, 200), (5121, 413)])
def test_a_voip_payload_may_be_larger(apns, size, status):
    body = json.dumps({"x": "x" * (size - 9)}).encode()
    assert len(body) == size
    answered = apns.push(body=body, apns_push_type="voip", apns_topic="com.example.app.voip")
    assert answered.status == status


def test_a_body_far_too_large_is_read_to_its_end_and_refused(apns):
    answered = apns.push(body=b"x" * 1_000_000)
    assert (answered.status, answered.json()) == (413, {"reason": "PayloadTooLarge"})


def test_the_authority_may_be_missing(apns):
    apns.authority = None
    assert apns.push().status == 200


@pytest.mark.parametrize(
    "changes", [{"connection": "close"}, {"Apns-Topic": "com.example.app"}, {":colour": "red"}]
)
def test_headers_that_http2_forbids_reset_the_stream(apns, changes):
    apns.h2.config.normalize_outbound_headers = False
    assert apns.push(**changes).error_code == 1
    assert apns.push().status == 200


def test_a_header_sent_twice_is_refused(apns):
    headers = [*apns.push_headers(), ("apns-topic", "com.example.app")]
    answered = apns.request(f"/3/device/{DEVICE}", headers)
    assert (answered.status, answered.json()) == (400, {"reason": "DuplicateHeaders"})


@pytest.mark.parametrize("path", ["/", "/3/devices/ab", "/2/device/ab"])
def test_an_unknown_path_is_refused(apns, path):
    answered = apns.request(path, apns.push_headers())
    assert (answered.status, answered.json()) == (404, {"reason": "BadPath"})


def test_only_post_is_allowed(apns):
    answered = apns.request(f"/3/device/{DEVICE}", apns.push_headers(), b"", method="GET")
    assert (answered.status, answered.json()) == (405, {"reason": "MethodNotAllowed"})


# Provider tokens ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"key_id": "EMULATOR02"}, "InvalidProviderToken"),
        ({"team_id": "TEAM999999"}, "InvalidProviderToken"),
        ({"iat": "now"}, "InvalidProviderToken"),
        ({"age": -120}, "InvalidProviderToken"),
        ({"age": 3700}, "ExpiredProviderToken"),
    ],
)
def test_a_provider_token_that_is_not_sound_is_refused(apns, sign, changes, reason):
    answered = apns.push(authorization=f"bearer {sign(apns.key, **changes)}")
    assert (answered.status, answered.json()) == (403, {"reason": reason})


@pytest.mark.parametrize("age", [-30, 3500])
def test_a_provider_token_at_the_edge_of_its_life_is_taken(connect, sign, age):
    apns = connect()
    assert apns.push(authorization=f"bearer {sign(apns.key, age=age)}").status == 200


def test_a_provider_token_signed_with_another_key_is_refused(apns, sign):
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    answered = apns.push(authorization=f"bearer {sign(pem)}")
    assert answered.json() == {"reason": "InvalidProviderToken"}


def test_a_provider_token_without_its_time_is_refused(apns):
    encoded = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "ES256", "kid": "EMULATOR01"}, {"iss": "TEAM123456"})
    ]
    signature = base64.urlsafe_b64encode(bytes(64)).rstrip(b"=")
    answered = apns.push(authorization=f"bearer {b'.'.join([*encoded, signature]).decode()}")
    assert answered.json() == {"reason": "InvalidProviderToken"}


def test_a_provider_token_signed_in_der_is_taken(connect):
    apns = connect()
    key = load_pem_private_key(apns.key.encode(), None)
    parts = ({"alg": "ES256", "kid": "EMULATOR01"}, {"iss": "TEAM123456", "iat": int(time.time())})
    signed = b".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts
    )
    der = base64.urlsafe_b64encode(key.sign(signed, ec.ECDSA(hashes.SHA256()))).rstrip(b"=")
    assert apns.push(authorization=f"bearer {signed.decode()}.{der.decode()}").status == 200


def test_the_second_new_provider_token_on_a_connection_is_too_many(apns, sign):
    second, third = (f"bearer {sign(apns.key, age=age)}" for age in (60, 120))
    assert apns.push(authorization=second).status == 200
    refused = apns.push(authorization=third)
    assert (refused.status, refused.json()) == (429, {"reason": "TooManyProviderTokenUpdates"})
    assert apns.push().status == 200
    assert apns.push(authorization=second).status == 200


def test_distinct_provider_tokens_are_counted(emulator, connect, sign):
    key = (emulator.directory / "apns-key.p8").read_text()
    for encoded in (sign(key), sign(key, age=60)):
        for _ in range(2):
            assert connect().push(authorization=f"bearer {encoded}").status == 200
    stats = emulator.control("GET", "/stats")["apns"]
    assert stats["provider_tokens"] == len(set(stats["provider_token_hashes"])) == 2
    assert stats["connections_opened"] == 4


# Client certificates ------------------------------------------------------------------------------


def test_a_client_certificate_takes_the_place_of_a_provider_token(connect):
    apns = connect(certificate=True)
    assert apns.max_streams == 1000
    assert apns.push(authorization=None).status == 200
    assert apns.push(authorization="ignored", apns_topic=None).status == 200


def test_a_client_certificate_is_for_its_own_topics(connect):
    apns = connect(certificate=True)
    voip = {"apns_topic": "com.example.app.voip", "apns_push_type": "voip"}
    assert apns.push(authorization=None, **voip).status == 200
    answered = apns.push(authorization=None, apns_topic="com.example.other")
    assert (answered.status, answered.json()) == (400, {"reason": "TopicDisallowed"})


# Streams ------------------------------------------------------------------------------------------


def test_a_connection_has_one_stream_until_its_first_push_is_accepted(connect):
    apns = connect()
    assert apns.max_streams == 1
    apns.push()
    apns.read_until(lambda: apns.max_streams == 1000)


def test_a_rejection_leaves_one_stream_until_the_next_success(apns):
    apns.read_until(lambda: apns.max_streams == 1000)
    apns.push(apns_priority="3")
    apns.read_until(lambda: apns.max_streams == 1)
    apns.push()
    apns.read_until(lambda: apns.max_streams == 1000)


def test_a_dead_token_takes_no_streams_away(emulator, apns):
    emulator.control("PUT", f"/tokens/{DEVICE}", {"reason": "Unregistered"})
    apns.read_until(lambda: apns.max_streams == 1000)
    assert apns.push().status == 410
    assert apns.push(token="cd" * 32).status == 200
    assert apns.max_streams == 1000


def test_streams_above_the_limit_are_refused_and_not_received(emulator, connect):
    emulator.control("POST", "/faults", {"delay": 0.05})
    apns = connect()
    answers = apns.wait(*apns.push_many(5))
    assert answers[0].status == 200
    assert [answered.error_code for answered in answers[1:]] == [7, 7, 7, 7]
    assert emulator.control("GET", "/received/count") == {"count": 1}


def test_a_client_without_alpn_is_served(connect):
    assert connect(alpn=()).push().status == 200


# Scripted devices ---------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["Unregistered", "UNREGISTERED", "NotRegistered"])
def test_a_dead_token_is_answered_with_its_time_whoever_named_it(emulator, apns, word):
    script = {"reason": word, "timestamp": 1700000000123}
    emulator.control("PUT", f"/tokens/{DEVICE.upper()}", script)
    answered = apns.push()
    assert answered.status == 410
    assert answered.json() == {"reason": "Unregistered", "timestamp": 1700000000123}


def test_a_dead_token_without_a_time_died_when_it_was_scripted(emulator, apns):
    before = int(time.time() * 1000)
    emulator.control("PUT", f"/tokens/{DEVICE}", {"reason": "ExpiredToken"})
    answered = apns.push().json()
    assert answered["reason"] == "ExpiredToken"
    assert before <= answered["timestamp"] <= time.time() * 1000


@pytest.mark.parametrize(
    ("script", "status", "reason"),
    [
        ({"reason": "Unavailable"}, 503, "ServiceUnavailable"),
        ({"reason": "INVALID_ARGUMENT"}, 400, "BadDeviceToken"),
        ({"reason": "QUOTA_EXCEEDED"}, 429, "TooManyRequests"),
        ({"reason": "MadeUpLastWeek"}, 400, "MadeUpLastWeek"),
        ({"reason": "MadeUpLastWeek", "status": 418}, 418, "MadeUpLastWeek"),
    ],
)
def test_a_scripted_device_is_answered_in_apples_words(emulator, apns, script, status, reason):
    emulator.control("PUT", f"/tokens/{DEVICE}", script)
    answered = apns.push()
    assert (answered.status, answered.json()["reason"]) == (status, reason)


def test_a_device_scripted_for_some_times_is_healthy_afterwards(emulator, apns):
    script = {"reason": "Unavailable", "times": 2, "retry_after": 1}
    emulator.control("PUT", f"/tokens/{DEVICE}", script)
    answers = [apns.push() for _ in range(3)]
    assert [answered.status for answered in answers] == [503, 503, 200]
    assert [answered.headers.get("retry-after") for answered in answers] == ["1", "1", None]


def test_other_devices_are_healthy(emulator, apns):
    emulator.control("PUT", f"/tokens/{DEVICE}", {"reason": "Unregistered"})
    assert apns.push(token="cd" * 32).status == 200
    emulator.control("DELETE", "/tokens")
    assert apns.push().status == 200


def test_a_canonical_id_does_no_harm(emulator, apns):
    assert emulator.control("PUT", f"/tokens/{DEVICE}", {"canonical_id": "new"}) == {}
    assert apns.push().status == 200


@pytest.mark.parametrize(
    "body", [b'{"aps":{"badge":NaN}}', '{"aps":{}}'.encode("utf-16"), b'\xef\xbb\xbf{"aps":{}}']
)
def test_what_only_python_takes_for_json_is_refused(apns, body):
    assert apns.push(body=body).json() == {"reason": "PayloadEmpty"}


def test_leave_to_send_and_a_reset_at_once_leave_the_connection_alone(connect):
    client = connect()
    client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
    client.flush()
    client.ping()
    number = client.submit("/3/device/no-token", client.push_headers())
    client.flush()
    client.read_until(lambda: client.streams[number].headers)
    client.h2.increment_flow_control_window(5, number)
    client.h2.reset_stream(number)
    client.flush()
    client.ping()
    client.ping()


def test_headers_are_remembered_within_bounds_whatever_a_client_allows(apns):
    apns.h2.update_settings({SettingCodes.HEADER_TABLE_SIZE: 2**32 - 1})
    apns.flush()
    apns.ping()
    for _ in range(200):
        assert apns.push().status == 200
    # Each answer brings two ids that were never seen before, some 90 bytes each.
    assert apns.h2.decoder.header_table._current_size <= 4096
