"""The legacy protocol without any server; expected bytes and answers are typed by hand."""

import json
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushtasks.errors import InvalidPush
from pushtasks.fcm import legacy, legacy_text
from pushtasks.fcm.legacy import Call
from pushtasks.fcm.message import Target
from pushtasks.net.http import Response, Unanswered
from pushtasks.results import Verdict


def calls(payload, *targets, form=legacy, dry_run=False):
    """Return the calls of a message to targets."""
    common = form.message(payload, dry_run=dry_run)
    return list(form.calls([form.push(common, target) for target in targets]))


def body(payload, target="id", **options):
    [call] = calls(payload, target, **options)
    return json.loads(call.body)


def fields(payload, **options):
    sent = body(payload, **options)
    assert sent.pop("registration_ids") == ["id"]
    return sent


def ids(*names):
    """Return a call to these registration ids."""
    return Call(b"", range(len(names)), [Target("token", name) for name in names])


def answer(content, retry_after=None, status=200):
    return Response(status, json.dumps(content).encode(), retry_after=retry_after)


# Requests -----------------------------------------------------------------------------------------


def test_a_message_to_two_devices_is_one_request():
    [call] = calls({"collapse_key": "k", "data": {"a": "ä"}}, "id1", "id2")

    assert call.body == (
        '{"registration_ids":["id1","id2"],"collapse_key":"k","data":{"a":"ä"}}'.encode()
    )
    assert list(call.places) == [0, 1]


def test_a_single_id_is_sent_as_a_list_which_servers_of_any_age_take():
    assert calls({}, "id1")[0].body == b'{"registration_ids":["id1"]}'


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("/topics/news", {"to": "/topics/news"}),
        ({"topic": "news"}, {"to": "/topics/news"}),
        (
            {"condition": "'a' in topics && 'b' in topics"},
            {"condition": "'a' in topics && 'b' in topics"},
        ),
        ({"notification_key": "group"}, {"to": "group"}),
        ({"token": "id1"}, {"registration_ids": ["id1"]}),
    ],
)
def test_every_target_has_its_address(target, address):
    assert body({"data": {"a": "b"}}, target) == {**address, "data": {"a": "b"}}


def test_2500_ids_are_three_requests_with_every_place_once():
    made = calls("Hi", *(f"id{number}" for number in range(2500)))

    assert [len(call.places) for call in made] == [1000, 1000, 500]
    assert [place for call in made for place in call.places] == list(range(2500))
    for call in made:
        named = json.loads(call.body)["registration_ids"]
        assert named == [f"id{place}" for place in call.places]


def test_topics_and_groups_have_requests_of_their_own_and_ids_share_theirs():
    made = calls("Hi", "a", {"topic": "news"}, "b", {"notification_key": "g"}, "a")

    assert sorted(list(call.places) for call in made) == [[0, 2, 4], [1], [3]]
    [multicast] = [call for call in made if len(call.places) > 1]
    assert json.loads(multicast.body)["registration_ids"] == ["a", "b", "a"]


def test_different_messages_never_share_a_request():
    pushes = [legacy.push(legacy.message("Hi", dry_run=False), name) for name in ("a", "b")]

    assert [list(call.places) for call in legacy.calls(pushes)] == [[0], [1]]


def test_an_installation_is_no_target_of_this_protocol():
    with pytest.raises(InvalidPush, match=r"fid instal….*protocol is v1") as caught:
        calls("Hi", {"fid": "installation"})

    assert "installation" not in str(caught.value)


@pytest.mark.parametrize(("target", "limit"), [("id", 4096), ({"topic": "t"}, 2048)])
def test_a_payload_may_be_as_large_as_its_target_takes(target, limit):
    calls({"data": {"k": "x" * (limit - 1)}}, target)
    with pytest.raises(InvalidPush, match=f"{limit + 1} bytes"):
        calls({"data": {"k": "x" * limit}}, target)
    with pytest.raises(InvalidPush, match=f"{limit + 1} bytes"):
        calls({"notification": {"body": "x" * (limit + 1)}}, target)


# Messages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "sent"),
    [
        ("Hi", {"notification": {"body": "Hi"}}),
        ({"time_to_live": 0}, {"time_to_live": 0}),
        ({"time_to_live": 1}, {"time_to_live": 1}),
        ({"priority": "HIGH"}, {"priority": "high"}),
        ({"delay_while_idle": True}, {"delay_while_idle": True}),
        ({"content_available": True, "mutable_content": True}, None),
        ({"restricted_package_name": "com.example"}, None),
        ({"dry_run": True}, None),
        ({"dry_run": False}, {}),
        (
            {"data": {"n": 1, "t": True, "o": {"a": [1]}}},
            {"data": {"n": "1", "t": "true", "o": '{"a":[1]}'}},
        ),
        ({"data": {"k": ""}}, None),
        ({"notification": {"badge": 0}}, {"notification": {"badge": "0"}}),
        ({"notification": {"badge": "3", "sound": "default", "tag": "t"}}, None),
        (
            {"notification": {"body_loc_key": "K", "body_loc_args": ["1", "ä"]}},
            {"notification": {"body_loc_key": "K", "body_loc_args": '["1", "ä"]'}},
        ),
        ({"notification": {"android_channel_id": "c", "click_action": "OPEN"}}, None),
    ],
)
def test_legacy_fields_are_sent(payload, sent):
    assert fields(payload) == (payload if sent is None else sent)


@pytest.mark.parametrize(
    ("payload", "sent"),
    [
        ({"android": {"collapse_key": "k"}}, {"collapse_key": "k"}),
        ({"apns": {"headers": {"apns-collapse-id": "k"}}}, {"collapse_key": "k"}),
        ({"android": {"priority": "HIGH"}}, {"priority": "high"}),
        ({"apns": {"headers": {"apns-priority": "5"}}}, {"priority": "normal"}),
        ({"android": {"ttl": "60s"}}, {"time_to_live": 60}),
        ({"android": {"ttl": "0s"}}, {"time_to_live": 0}),
        ({"android": {"ttl": "0.5s"}}, {"time_to_live": 1}),
        ({"android": {"restricted_package_name": "com.e"}}, {"restricted_package_name": "com.e"}),
        (
            {"notification": {"title": "T", "body": "B", "image": "I"}, "android": {}},
            {"notification": {"title": "T", "body": "B", "image": "I"}},
        ),
        (
            {"data": {"a": "b"}, "android": {"notification": {"icon": "i", "channel_id": "c"}}},
            {"data": {"a": "b"}, "notification": {"icon": "i", "android_channel_id": "c"}},
        ),
        (
            {"android": {"notification": {"title": "T", "title_loc_args": ["1"]}}},
            {"notification": {"title": "T", "title_loc_args": '["1"]'}},
        ),
        (
            {"apns": {"payload": {"aps": {"badge": 3, "sound": "s", "category": "OPEN"}}}},
            {"notification": {"badge": "3", "sound": "s", "click_action": "OPEN"}},
        ),
        (
            {"apns": {"payload": {"aps": {"content-available": 1, "mutable-content": 1}}}},
            {"content_available": True, "mutable_content": True},
        ),
        ({"apns": {"payload": {"aps": {"alert": "B"}}}}, {"notification": {"body": "B"}}),
        (
            {"apns": {"payload": {"aps": {"alert": {"title": "T", "loc-key": "K"}}}}},
            {"notification": {"title": "T", "body_loc_key": "K"}},
        ),
        (
            {
                "notification": {"title": "T"},
                "android": {"notification": {"title": "T", "sound": "s"}, "priority": "high"},
                "apns": {
                    "headers": {"apns-priority": "10"},
                    "payload": {"aps": {"alert": {"title": "T"}, "sound": "s"}},
                },
            },
            {"notification": {"title": "T", "sound": "s"}, "priority": "high"},
        ),
    ],
)
def test_a_v1_field_goes_where_the_legacy_protocol_has_it(payload, sent):
    assert fields(payload) == sent


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"webpush": {"headers": {"TTL": "1"}}}, "webpush.headers.TTL"),
        ({"fcm_options": {"analytics_label": "l"}}, "fcm_options.analytics_label"),
        ({"android": {"direct_boot_ok": True}}, "android.direct_boot_ok"),
        ({"android": {"data": {"a": "b"}}}, "android.data.a"),
        ({"android": {"notification": {"ticker": "t"}}}, "android.notification.ticker"),
        ({"android_v2": {"x": 1}}, "android_v2.x"),
        ({"apns": {"payload": {"order": 7}}}, "apns.payload.order"),
        ({"apns": {"headers": {"apns-expiration": "0"}}}, "apns.headers.apns-expiration"),
        ({"apns": {"payload": {"aps": {"sound": {"name": "s"}}}}}, "apns.payload.aps.sound.name"),
    ],
)
def test_a_v1_field_that_the_legacy_protocol_has_not_is_refused_by_name(payload, path):
    with pytest.raises(InvalidPush) as caught:
        calls(payload, "id")

    assert str(caught.value).startswith(f"payload {path}: the legacy protocol")
    assert "has no field for it" in str(caught.value)


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ({"apns": {"headers": {"apns-priority": "1"}}}, "apns.headers.apns-priority: '1'"),
        ({"apns": {"payload": {"aps": {"badge": "x"}}}}, "apns.payload.aps.badge: 'x'"),
        ({"apns": {"payload": {"aps": {"content-available": 2}}}}, "content-available: 2"),
        ({"apns": {"payload": {"aps": {"alert": None}}}}, "apns.payload.aps.alert: null"),
        (
            {"notification": {"title": "A"}, "android": {"notification": {"title": "B"}}},
            "android.notification.title: 'B' is not what notification.title says",
        ),
        ({"android": {}, "collapse_key": "k"}, "collapse_key: a legacy field beside 'android'"),
        ({"colapse_key": "k"}, "did you mean 'collapse_key'"),
        ({"time_to_live": -1}, "time_to_live: -1"),
    ],
)
def test_a_value_that_cannot_be_sent_is_refused_by_the_name_it_was_given(payload, told):
    with pytest.raises(InvalidPush) as caught:
        calls(payload, "id")

    assert told in str(caught.value)


def test_a_dry_run_can_be_asked_for_by_argument():
    assert fields({"data": {"a": "b"}}, dry_run=True) == {"data": {"a": "b"}, "dry_run": True}


# Answers ------------------------------------------------------------------------------------------


def test_results_belong_to_ids_by_their_order():
    content = {
        "multicast_id": 216,
        "success": 3,
        "failure": 3,
        "canonical_ids": 1,
        "results": [
            {"message_id": "0:1%a"},
            {"error": "Unavailable"},
            {"error": "InvalidRegistration"},
            {"message_id": "0:2%a"},
            {"message_id": "0:3%a", "registration_id": "new"},
            {"error": "NotRegistered"},
        ],
    }

    assert legacy.read(ids(*"abcdef"), answer(content)) == [
        Verdict(200, message_id="0:1%a"),
        Verdict(200, "Unavailable"),
        Verdict(200, "InvalidRegistration"),
        Verdict(200, message_id="0:2%a"),
        Verdict(200, message_id="0:3%a", canonical_id="new"),
        Verdict(200, "NotRegistered"),
    ]


def test_an_id_named_twice_has_two_results():
    content = {"results": [{"message_id": "1"}, {"error": "Unavailable"}, {"message_id": "2"}]}

    verdicts = legacy.read(ids("a", "a", "a"), answer(content))

    assert [verdict.message_id for verdict in verdicts] == ["1", None, "2"]
    assert [verdict.reason for verdict in verdicts] == [None, "Unavailable", None]


def test_retry_after_is_for_those_that_the_server_could_not_serve_for_now():
    names = ("Unavailable", "InternalServerError", "NotRegistered", "DeviceMessageRateExceeded")
    content = {"results": [*({"error": name} for name in names), {"message_id": "m"}]}

    verdicts = legacy.read(ids(*"abcde"), answer(content, retry_after=7.0))

    assert [verdict.retry_after for verdict in verdicts] == [7.0, 7.0, None, None, None]
    assert {verdict.status for verdict in verdicts} == {200}


def test_an_error_that_nobody_knows_is_kept_as_it_is():
    [verdict] = legacy.read(ids("a"), answer({"results": [{"error": "SomethingOf2031"}]}))

    assert verdict == Verdict(200, "SomethingOf2031")


def test_an_id_that_is_its_own_successor_has_none():
    content = {"results": [{"message_id": "m", "registration_id": "a"}]}

    assert legacy.read(ids("a"), answer(content)) == [Verdict(200, message_id="m")]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_results_that_do_not_match_the_ids_say_nothing_of_any_of_them(count):
    content = {"results": [{"message_id": "m"}] * count}

    verdicts = legacy.read(ids("a", "b"), answer(content))

    reason = f"HTTP 200 with {count} results for 2 registration ids"
    assert verdicts == [Verdict(None, reason, maybe_sent=True)] * 2


@pytest.mark.parametrize("content", [{}, [], None, {"results": None}, {"results": {"0": {}}}])
def test_an_answer_without_results_says_nothing_of_any_id(content):
    verdicts = legacy.read(ids("a", "b"), answer(content))

    assert {(v.status, v.maybe_sent) for v in verdicts} == {(None, True)}
    assert "no results for 2 registration ids" in verdicts[0].reason


def test_a_result_that_says_nothing_leaves_its_own_id_open_and_no_other():
    content = {"results": [{"message_id": "1"}, {}, None, {"error": ""}, {"message_id": "2"}]}

    first, *open_ones, last = legacy.read(ids(*"abcde"), answer(content))

    assert (first.message_id, last.message_id) == ("1", "2")
    for verdict in open_ones:
        assert verdict == Verdict(
            None, "HTTP 200 with a result with neither message_id nor error", maybe_sent=True
        )


@given(
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["results", "error", "message_id", "registration_id", "success", "failure"]
                )
                | st.text(),
                inner,
            )
        ),
    ).map(lambda content: json.dumps(content).encode()),
    st.integers(1, 3),
    st.sampled_from([200, 400, 503]),
)
def test_no_answer_is_misread_into_an_error_or_into_too_many_verdicts(content, count, status):
    for form in (legacy, legacy_text)[: 2 if count == 1 else 1]:
        verdicts = form.read(ids(*"abc"[:count]), Response(status, content))

        assert len(verdicts) == count
        for verdict in verdicts:
            if verdict.status is None:
                assert verdict.maybe_sent
                assert verdict.reason


def to(kind, value):
    return Call(b"", [0], [Target(kind, value)])


@pytest.mark.parametrize("kind", ["topic", "condition"])
def test_the_answer_for_topics_is_one_number_or_one_error(kind):
    call = to(kind, "x")

    assert legacy.read(call, answer({"message_id": 6538})) == [Verdict(200, message_id="6538")]
    assert legacy.read(call, answer({"error": "TopicsMessageRateExceeded"})) == [
        Verdict(200, "TopicsMessageRateExceeded")
    ]


def test_a_group_is_reached_in_whole_in_part_or_not_at_all():
    call = to("notification_key", "g")

    assert legacy.read(call, answer({"success": 2, "failure": 0})) == [Verdict(200)]
    partly = {"success": 1, "failure": 2, "failed_registration_ids": ["b", "c"]}
    assert legacy.read(call, answer(partly)) == [Verdict(200, failed_registration_ids=("b", "c"))]
    not_at_all = {"success": 0, "failure": 1, "failed_registration_ids": ["b"]}
    assert legacy.read(call, answer(not_at_all, retry_after=3.0)) == [
        Verdict(200, "Unavailable", retry_after=3.0, failed_registration_ids=("b",))
    ]


def test_a_group_that_was_called_by_a_plain_id_is_understood():
    assert legacy.read(ids("g"), answer({"success": 2, "failure": 0})) == [Verdict(200)]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "InvalidRequest"),
        (401, "InvalidApiKey"),
        (404, "HTTP 404"),
        (302, "HTTP 302"),
        (503, "HTTP 503"),
    ],
)
@pytest.mark.parametrize("form", [legacy, legacy_text])
def test_a_refusal_is_for_all_ids_of_its_request(form, status, reason):
    refusal = answer({"results": [{"message_id": "m"}]}, retry_after=9.0, status=status)

    assert form.read(ids("a"), refusal) == [Verdict(status, reason, retry_after=9.0)]
    if form is legacy:
        assert legacy.read(ids("a", "b"), refusal) == [Verdict(status, reason, retry_after=9.0)] * 2


@pytest.mark.parametrize("maybe_sent", [False, True])
def test_no_answer_is_no_answer_for_all_ids_of_its_request(maybe_sent):
    assert (
        legacy.read(ids("a", "b"), Unanswered(maybe_sent, "why"))
        == [Verdict(None, "why", maybe_sent=maybe_sent)] * 2
    )


# Plain text ---------------------------------------------------------------------------------------


def test_plain_text_has_one_id_in_each_request_and_all_that_it_can_carry():
    payload = {
        "collapse_key": "k",
        "time_to_live": 0,
        "delay_while_idle": True,
        "restricted_package_name": "com.example",
        "data": {"a b": "1 & 2", "ü": "="},
    }
    first, second = calls(payload, "id+1", {"token": "id2"}, form=legacy_text, dry_run=True)

    assert first.body.startswith(b"registration_id=id%2B1&collapse_key=k&")
    assert dict(parse_qsl(first.body.decode())) == {
        "registration_id": "id+1",
        "collapse_key": "k",
        "time_to_live": "0",
        "delay_while_idle": "1",
        "restricted_package_name": "com.example",
        "data.a b": "1 & 2",
        "data.ü": "=",
        "dry_run": "1",
    }
    assert dict(parse_qsl(second.body.decode()))["registration_id"] == "id2"
    assert [list(call.places) for call in (first, second)] == [[0], [1]]


def test_plain_text_without_any_field_is_the_id_alone():
    assert calls({}, "id1", form=legacy_text)[0].body == b"registration_id=id1"


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        ("Hi", "notification"),
        ({"priority": "high"}, "priority"),
        ({"content_available": True}, "content_available"),
        ({"android": {"priority": "high"}}, "priority"),
    ],
)
def test_what_plain_text_cannot_carry_is_refused_by_name(payload, name):
    with pytest.raises(InvalidPush, match=f'payload {name}: GCM.s plain text .* form = "json"'):
        calls(payload, "id", form=legacy_text)


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ({"topic": "t"}, "topic"),
        ({"condition": "'a' in topics"}, "condition"),
        ({"notification_key": "g"}, "notification_key"),
    ],
)
def test_plain_text_goes_to_ids_only(target, kind):
    with pytest.raises(InvalidPush, match=f"{kind}: GCM.s plain text"):
        calls({}, target, form=legacy_text)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (b"id=0:3%a\n", Verdict(200, message_id="0:3%a")),
        (
            b"id=0:3%a\r\nregistration_id=new\r\n",
            Verdict(200, message_id="0:3%a", canonical_id="new"),
        ),
        (b"id=0:3%a\nregistration_id=a", Verdict(200, message_id="0:3%a")),
        (b"Error=NotRegistered", Verdict(200, "NotRegistered")),
        (b"Error=InternalServerError\n", Verdict(200, "InternalServerError", retry_after=4.0)),
        (
            b"<html>",
            Verdict(
                None, "HTTP 200 with a result with neither message_id nor error", maybe_sent=True
            ),
        ),
    ],
)
def test_a_plain_text_answer_is_read_line_by_line(text, verdict):
    assert legacy_text.read(ids("a"), Response(200, text, retry_after=4.0)) == [verdict]
