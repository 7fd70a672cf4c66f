import json
import math
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushtasks.apns.notification import (
    EPOCH,
    absolute_expiration,
    apns_id,
    are_device_tokens,
    device_apns_id,
    device_token,
    notification,
)
from pushtasks.errors import InvalidPush

TOKEN = "0123456789abcdef" * 4
ALERT = {"aps": {"alert": "Hi"}}
NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def refusal(function, *arguments, **options):
    with pytest.raises(InvalidPush) as caught:
        function(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


class TestDeviceToken:
    @pytest.mark.parametrize(
        "value",
        [
            TOKEN,
            TOKEN.upper(),
            f"<{TOKEN}>",
            "<01234567 89abcdef 01234567 89abcdef 01234567 89abcdef 01234567 89abcdef>",
            f" {TOKEN}\n",
            f"0 {TOKEN[1:]}",
        ],
    )
    def test_every_form_gives_lower_case_digits_alone(self, value):
        assert device_token(value) == TOKEN

    @pytest.mark.parametrize("digits", [2, 64, 160, 512])
    def test_no_length_is_assumed(self, digits):
        assert device_token("a" * digits) == "a" * digits

    @pytest.mark.parametrize(
        ("value", "fault"),
        [
            ("", "is empty"),
            (" <> ", "is empty"),
            (TOKEN[:-1], "has 63 digits"),
            ("a" * 514, "has 514 digits"),
            (TOKEN[:-1] + "g", "no hexadecimal digits"),
            ("../" + TOKEN, "no hexadecimal digits"),
            (TOKEN + "\u0660\u0661", "no hexadecimal digits"),
            (None, "of type NoneType"),
            (bytes.fromhex(TOKEN), "of type bytes"),
            (12, "of type int"),
        ],
    )
    def test_anything_else_is_refused_with_rule_and_way_out_but_masked(self, value, fault):
        message = refusal(device_token, value)
        assert fault in message
        assert "hexadecimal text of even length" in message
        assert "didRegisterForRemoteNotificationsWithDeviceToken" in message
        assert TOKEN[:7] not in message

    @given(st.binary(min_size=1, max_size=256))
    def test_any_bytes_survive(self, binary):
        assert device_token(binary.hex(" ").upper()) == binary.hex()


def is_device_token_already(value):
    try:
        return device_token(value) == value
    except InvalidPush:
        return False


class TestDeviceTokens:
    """Many at once."""

    @given(st.integers(1, 256), st.data())
    def test_those_of_an_app_are_told_together(self, size, data):
        binaries = data.draw(st.lists(st.binary(min_size=size, max_size=size), min_size=1))
        assert are_device_tokens([binary.hex() for binary in binaries])

    @pytest.mark.parametrize(
        "wrong",
        [
            *(TOKEN.upper(), TOKEN[:-2], TOKEN + "00", TOKEN[:-1], TOKEN[:-1] + "g", "", " "),
            *(f"{TOKEN} {TOKEN}", f" {TOKEN}", f"{TOKEN[:32]} {TOKEN[32:]}", f"{TOKEN}\n"),
            *(f"<{TOKEN}>", TOKEN[:-1] + "\u0660", "\ud800", None, 5, TOKEN.encode(), [TOKEN]),
        ],
    )
    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_one_that_is_not_as_the_others_is_noticed(self, wrong, place):
        values = [TOKEN, TOKEN]
        values.insert(place, wrong)
        assert not are_device_tokens(values)

    @pytest.mark.parametrize("values", [[], [""], ["", ""], ["a" * 514]])
    def test_none_and_empty_and_too_long_ones_are_not_told(self, values):
        assert not are_device_tokens(values)

    @given(st.lists(st.text("0a \t", max_size=5), min_size=1, max_size=4))
    def test_only_what_each_by_itself_would_pass_is_passed_together(self, values):
        if are_device_tokens(values):
            assert all(map(is_device_token_already, values))


class TestTopic:
    @pytest.mark.parametrize(
        ("push_type", "topic"),
        [
            ("alert", "com.example.app"),
            ("background", "com.example.app"),
            ("complication", "com.example.app.complication"),
            ("controls", "com.example.app.push-type.controls"),
            ("fileprovider", "com.example.app.pushkit.fileprovider"),
            ("liveactivity", "com.example.app.push-type.liveactivity"),
            ("location", "com.example.app.location-query"),
            ("mdm", "com.example.app"),
            ("pushtotalk", "com.example.app.voip-ptt"),
            ("voip", "com.example.app.voip"),
            ("widgets", "com.example.app.push-type.widgets"),
        ],
    )
    def test_has_the_suffix_of_its_push_type_once(self, push_type, topic):
        assert notification({}, topic="com.example.app", push_type=push_type).topic == topic
        assert notification({}, topic=topic, push_type=push_type).topic == topic

    def test_may_be_left_to_a_certificate_with_a_single_one(self):
        assert notification(ALERT, topic=None, push_type="voip").topic is None

    @pytest.mark.parametrize(
        "topic", ["", "com.example app", "com.example\r\nevil: 1", "com.exämple", "a\0b", 7]
    )
    def test_that_is_no_bundle_id_is_refused(self, topic):
        message = refusal(notification, ALERT, topic=topic)
        assert message.startswith(f"topic {topic!r}")
        assert "bundle id such as com.example.app" in message


class TestPushType:
    @pytest.mark.parametrize(
        ("payload", "push_type"),
        [
            ("Hi", "alert"),
            (ALERT, "alert"),
            ({}, "alert"),
            ({"aps": {"badge": 3}}, "alert"),
            ({"aps": {"content-available": 1}}, "background"),
            ({"aps": {"content-available": 1}, "id": 7}, "background"),
            ({"aps": {"content-available": 1, "alert": "Hi"}}, "alert"),
            ({"aps": {"content-available": 1, "sound": "default"}}, "alert"),
            ({"aps": {"content-available": 1, "badge": 0}}, "alert"),
            ({"aps": {"content-available": 0}}, "alert"),
            ({"aps": {"content-state": {}, "event": "update"}}, "liveactivity"),
            ({"aps": {"content-state": {}, "event": "update", "alert": {}}}, "liveactivity"),
            ({"aps": {"event": "update"}}, "alert"),
        ],
    )
    def test_is_told_by_the_payload(self, payload, push_type):
        assert notification(payload, topic="com.example.app").push_type == push_type

    def test_is_not_told_by_the_payload_if_given(self):
        assert notification(ALERT, topic="com.example.app", push_type="mdm").push_type == "mdm"

    @pytest.mark.parametrize("push_type", ["Alert", "", "silent", 1, ["alert"]])
    def test_that_apple_does_not_know_is_refused_naming_those_that_it_knows(self, push_type):
        message = refusal(notification, ALERT, topic="com.example.app", push_type=push_type)
        assert message.startswith(f"push_type {push_type!r}")
        assert "alert, background, complication, controls" in message
        assert "leave it out" in message


class TestPriority:
    @pytest.mark.parametrize("priority", [None, 1, 5, 10])
    def test_of_an_alert_is_apples_choice_or_one_of_three(self, priority):
        assert notification(ALERT, topic="a.b", priority=priority).priority == priority

    @pytest.mark.parametrize("priority", [None, 5])
    def test_of_a_background_push_is_5(self, priority):
        push = notification({}, topic="a.b", push_type="background", priority=priority)
        assert push.priority == 5

    @pytest.mark.parametrize("priority", [None, 5, 10])
    def test_of_a_live_activity_is_5_or_10(self, priority):
        push = notification({}, topic="a.b", push_type="liveactivity", priority=priority)
        assert push.priority == priority

    @pytest.mark.parametrize(
        ("push_type", "priority", "rule"),
        [
            ("alert", 0, "1 or 5 or 10"),
            ("alert", 7, "1 or 5 or 10"),
            ("alert", "10", "1 or 5 or 10"),
            ("alert", True, "1 or 5 or 10"),
            ("alert", 5.0, "1 or 5 or 10"),
            ("background", 10, "must have 5;"),
            ("background", 1, "must have 5;"),
            ("liveactivity", 1, "5 or 10"),
        ],
    )
    def test_that_apns_refuses_is_refused(self, push_type, priority, rule):
        message = refusal(notification, {}, topic="a.b", push_type=push_type, priority=priority)
        assert message.startswith(f"priority {priority!r}: a push of type {push_type}")
        assert rule in message
        assert "leave it out" in message


class TestCollapseId:
    @pytest.mark.parametrize("collapse_id", ["a", "a" * 64, "ü" * 32, "game 7"])
    def test_has_up_to_64_bytes(self, collapse_id):
        assert notification(ALERT, topic="a.b", collapse_id=collapse_id).collapse_id == collapse_id

    @pytest.mark.parametrize(
        ("collapse_id", "fault"),
        [
            ("a" * 65, "is 65 bytes"),
            ("ü" * 33, "is 66 bytes"),
            ("", "is empty"),
            (" a", "white space around"),
            ("a\r\nevil: 1", "control characters"),
            ("a\0", "control characters"),
            ("\ud800", "control characters"),
            (7, "no text"),
        ],
    )
    def test_that_apns_refuses_is_refused(self, collapse_id, fault):
        message = refusal(notification, ALERT, topic="a.b", collapse_id=collapse_id)
        assert message.startswith("collapse_id ")
        assert fault in message
        assert "1 to 64 bytes in UTF-8; use a short id or a hash" in message


class TestPayloadLimit:
    @pytest.mark.parametrize(
        ("push_type", "limit"), [("alert", 4096), ("background", 4096), ("voip", 5120)]
    )
    def test_depends_on_the_push_type(self, push_type, limit):
        frame = len('{"a":""}')
        fits = {"a": "x" * (limit - frame)}
        assert len(notification(fits, topic="a.b", push_type=push_type).payload) == limit
        message = refusal(
            notification, {"a": "x" * (limit - frame + 1)}, topic="a.b", push_type=push_type
        )
        assert f"{limit + 1} bytes" in message
        assert f"takes {limit}" in message

    def test_payload_is_json_and_not_shown(self):
        push = notification("Grüße", topic="a.b")
        assert json.loads(push.payload) == {"aps": {"alert": "Grüße"}}
        assert "Gr" not in repr(push)


class TestExpiration:
    @pytest.mark.parametrize(
        ("value", "instant"),
        [
            (None, None),
            (0, EPOCH),
            (0.0, EPOCH),
            (60, NOW + timedelta(minutes=1)),
            (0.5, NOW + timedelta(milliseconds=500)),
            (NOW, NOW),
            (NOW.astimezone(timezone(timedelta(hours=5))), NOW),
            (EPOCH, EPOCH),
            ("2026-11-01T12:00:00Z", NOW),
            ("2026-11-01T13:00:00+01:00", NOW),
        ],
    )
    def test_becomes_an_instant_in_utc(self, value, instant):
        found = absolute_expiration(value, now=NOW)
        assert found == instant
        assert found is None or found.tzinfo is UTC

    @pytest.mark.parametrize(
        ("value", "way_out"),
        [
            (-1, "leave it out"),
            (-0.5, "leave it out"),
            (math.nan, "leave it out"),
            (math.inf, "leave it out"),
            (10**400, "leave it out"),
            (1e12, "leave it out"),
            ("tomorrow", "such as 2030-01-31T12:00:00Z"),
            ("3600", "such as 2030-01-31T12:00:00Z"),
            ("2026-11-01T12:00:00", "datetime.now(UTC)"),
            ("1969-12-31T23:59:59Z", "a moment to come"),
            (datetime(2026, 11, 1), "datetime.now(UTC)"),  # noqa: DTZ001
            (datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), "a moment to come"),
            (True, "seconds from now"),
            ([60], "seconds from now"),
        ],
    )
    def test_that_is_no_moment_to_come_is_refused(self, value, way_out):
        message = refusal(absolute_expiration, value, now=NOW)
        assert message.startswith("expiration ")
        assert way_out in message

    def test_of_a_notification_is_kept_in_utc(self):
        elsewhere = NOW.astimezone(timezone(timedelta(hours=-8)))
        assert notification(ALERT, topic="a.b", expiration=elsewhere).expiration == NOW

    @pytest.mark.parametrize("expiration", [NOW.replace(tzinfo=None), 60])
    def test_of_a_notification_must_be_aware(self, expiration):
        message = refusal(notification, ALERT, topic="a.b", expiration=expiration)
        assert "no datetime with a time zone" in message


class TestApnsId:
    CANONICAL = "123e4567-e89b-42d3-a456-426614174000"

    @pytest.mark.parametrize("value", [CANONICAL, CANONICAL.upper(), UUID(CANONICAL)])
    def test_is_canonical(self, value):
        assert apns_id(value) == self.CANONICAL

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "order-7",
            CANONICAL.replace("-", ""),
            f"{{{CANONICAL}}}",
            f"{CANONICAL}\n",
            None,
            7,
        ],
    )
    def test_that_is_no_uuid_is_refused(self, value):
        message = refusal(apns_id, value)
        assert message.startswith("apns_id ")
        assert "str(uuid.uuid4())" in message

    def test_of_a_device_continues_the_task_id(self):
        assert device_apns_id(self.CANONICAL, 0) == "123e4567-e89b-42d3-a456-000000000000"
        assert device_apns_id(self.CANONICAL, 999) == "123e4567-e89b-42d3-a456-0000000003e7"
        assert device_apns_id(self.CANONICAL.upper(), 1) == device_apns_id(self.CANONICAL, 1)

    @given(st.text(st.characters(codec="utf-8")), st.integers(0, 2**48 - 1))
    def test_of_a_device_is_canonical_whatever_the_task_id(self, task_id, index):
        found = device_apns_id(task_id, index)
        assert found == str(UUID(found)) == device_apns_id(task_id, index)

    def test_of_devices_of_tasks_with_names_differ(self):
        ids = {device_apns_id(name, index) for name in ("order-1", "order-2") for index in (0, 1)}
        assert len(ids) == 4
