"""Messages that firebase-admin encodes and ours from the same input are equal JSON."""

import json
import warnings
from datetime import UTC, datetime, timedelta

import pytest
from firebase_admin import messaging
from hypothesis import given, settings
from hypothesis import strategies as st

from pushtasks.fcm.message import encode, message, target

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)

TARGETS = [
    ("registration-id", {"token": "registration-id"}),
    ("/topics/news", {"topic": "/topics/news"}),
    ({"topic": "news"}, {"topic": "news"}),
    ({"condition": "'a' in topics || 'b' in topics"},) * 2,
    ({"fid": "installation-id"},) * 2,
]


def theirs(**arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of token, in favour of fid
        return {"message": json.loads(str(messaging.Message(**arguments)))}


def ours(to, payload):
    return json.loads(encode(message(payload, now=NOW), target(to)))


@pytest.mark.parametrize(("to", "argument"), TARGETS)
def test_targets_are_equal(to, argument):
    assert ours(to, "Hi") == theirs(notification=messaging.Notification(body="Hi"), **argument)


# Each strategy draws (our dict, their object) from the same values. firebase-admin leaves out what
# is empty, so nothing empty is drawn.

words = st.text(min_size=1, max_size=12)
flags = st.booleans()
labels = st.from_regex(r"[a-zA-Z0-9\-_.~%]{1,50}", fullmatch=True)
string_lists = st.lists(words, min_size=1, max_size=3)
data = st.dictionaries(words.map("k-{}".format), words, min_size=1, max_size=3)
headers = st.dictionaries(words, words, min_size=1, max_size=2)
json_values = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | words,
    lambda inner: st.lists(inner, min_size=1) | st.dictionaries(words, inner, min_size=1),
    max_leaves=4,
)


def pairs(their_class, ours_by_theirs, required=(), **strategies):
    """Draw arguments of a firebase-admin class and, by the names in v1, the dict of the same.

    A strategy may draw pairs itself: then the first goes to our dict, the second to theirs.
    """
    chosen = st.fixed_dictionaries(
        {name: strategies[name] for name in required},
        optional={name: each for name, each in strategies.items() if name not in required},
    )

    def pair(arguments):
        values = {k: v if isinstance(v, tuple) else (v, v) for k, v in arguments.items()}
        mine = {ours_by_theirs.get(name, name): value[0] for name, value in values.items()}
        return mine, their_class(**{name: value[1] for name, value in values.items()})

    return chosen.filter(bool).map(pair)


def durations(unit):
    """Draw (text, timedelta) pairs of whole milliseconds in binary-exact fractions."""
    seconds = st.integers(0, 100_000).map(lambda quarters: quarters / 4)
    return seconds.map(
        lambda each: (
            f"{each:.0f}s" if each.is_integer() else f"{int(each)}.{each % 1 * 1e9:09.0f}s",
            timedelta(seconds=each) if unit == "s" else each * 1000,
        )
    )


colors = st.tuples(*[st.integers(0, 255)] * 3)

light_settings = pairs(
    messaging.LightSettings,
    {
        "light_on_duration_millis": "light_on_duration",
        "light_off_duration_millis": "light_off_duration",
    },
    required=("color", "light_on_duration_millis", "light_off_duration_millis"),
    color=colors.map(
        lambda rgb: (
            dict(zip(("red", "green", "blue"), (each / 255 for each in rgb), strict=True))
            | {"alpha": 1.0},
            "#{:02x}{:02X}{:02x}".format(*rgb),
        )
    ),
    light_on_duration_millis=durations("ms"),
    light_off_duration_millis=durations("ms"),
)


def enums(prefix, *names):
    return st.sampled_from([(prefix + name.upper(), name) for name in names])


android_notification = pairs(
    messaging.AndroidNotification,
    {
        "event_timestamp": "event_time",
        "priority": "notification_priority",
        "vibrate_timings_millis": "vibrate_timings",
    },
    required=("body_loc_key", "title_loc_key"),
    **dict.fromkeys(
        [
            *("title", "body", "icon", "sound", "tag", "click_action", "body_loc_key"),
            *("title_loc_key", "channel_id", "image", "ticker"),
        ],
        words,
    ),
    **dict.fromkeys(
        [
            *("sticky", "local_only", "default_vibrate_timings", "default_sound"),
            "default_light_settings",
        ],
        flags,
    ),
    color=colors.map(lambda rgb: "#{:02x}{:02X}{:02x}".format(*rgb)),
    body_loc_args=string_lists,
    title_loc_args=string_lists,
    event_timestamp=st.datetimes(min_value=datetime(1970, 1, 1)).map(  # noqa: DTZ001
        lambda each: (each.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), each)
    ),
    priority=enums("PRIORITY_", "min", "low", "default", "high", "max"),
    vibrate_timings_millis=st.lists(durations("ms"), min_size=1, max_size=3).map(
        lambda timings: ([each[0] for each in timings], [each[1] for each in timings])
    ),
    visibility=enums("", "private", "public", "secret"),
    proxy=enums("", "allow", "deny", "if_priority_lowered"),
    notification_count=st.integers(0, 2**31 - 1),
    light_settings=light_settings,
)

android = pairs(
    messaging.AndroidConfig,
    {},
    collapse_key=words,
    priority=st.sampled_from(["high", "normal"]),
    ttl=durations("s"),
    restricted_package_name=words,
    data=data,
    notification=android_notification,
    fcm_options=pairs(messaging.AndroidFCMOptions, {}, analytics_label=labels),
    direct_boot_ok=flags,
    bandwidth_constrained_ok=flags,
    restricted_satellite_ok=flags,
)

alert = pairs(
    messaging.ApsAlert,
    {
        "loc_key": "loc-key",
        "loc_args": "loc-args",
        "title_loc_key": "title-loc-key",
        "title_loc_args": "title-loc-args",
        "action_loc_key": "action-loc-key",
        "launch_image": "launch-image",
    },
    required=("loc_key", "title_loc_key"),
    **dict.fromkeys(
        [
            *("title", "subtitle", "body", "loc_key", "title_loc_key"),
            *("action_loc_key", "launch_image"),
        ],
        words,
    ),
    loc_args=string_lists,
    title_loc_args=string_lists,
)

sound = pairs(
    messaging.CriticalSound,
    {},
    required=("name",),
    name=words,
    critical=st.just((1, True)),
    volume=st.floats(0, 1),
)

aps = pairs(
    messaging.Aps,
    {
        "content_available": "content-available",
        "mutable_content": "mutable-content",
        "thread_id": "thread-id",
    },
    alert=words | alert,
    badge=st.integers(0, 99),
    sound=words | sound,
    content_available=st.just((1, True)),
    mutable_content=st.just((1, True)),
    category=words,
    thread_id=words,
)


def apns_payload(pair, custom):
    return {"aps": pair[0]} | custom, messaging.APNSPayload(pair[1], **custom)


apns = pairs(
    messaging.APNSConfig,
    {},
    headers=headers,
    payload=st.builds(
        apns_payload, aps, st.dictionaries(words.map("x-{}".format), json_values, max_size=2)
    ),
    fcm_options=pairs(messaging.APNSFCMOptions, {}, analytics_label=labels, image=words),
    live_activity_token=words,
)

web_actions = st.lists(
    pairs(
        messaging.WebpushNotificationAction,
        {},
        required=("action", "title"),
        action=words,
        title=words,
        icon=words,
    ),
    min_size=1,
    max_size=2,
).map(lambda actions: ([each[0] for each in actions], [each[1] for each in actions]))

web_notification = pairs(
    messaging.WebpushNotification,
    {
        "direction": "dir",
        "language": "lang",
        "require_interaction": "requireInteraction",
        "timestamp_millis": "timestamp",
    },
    **dict.fromkeys(["title", "body", "icon", "badge", "image", "language", "tag"], words),
    **dict.fromkeys(["renotify", "require_interaction", "silent"], flags),
    actions=web_actions,
    data=json_values,
    direction=st.sampled_from(["auto", "ltr", "rtl"]),
    timestamp_millis=st.integers(0, 2**41),
    vibrate=st.lists(st.integers(0, 1000), min_size=1, max_size=3),
)

webpush = pairs(
    messaging.WebpushConfig,
    {},
    headers=headers,
    data=data,
    notification=web_notification,
    fcm_options=pairs(
        messaging.WebpushFCMOptions,
        {},
        link=st.from_regex(r"https://[a-z]{1,9}\.example/[a-z]{0,9}", fullmatch=True),
    ),
)

messages = pairs(
    messaging.Message,
    {},
    required=("topic",),
    topic=st.just("news"),
    data=data,
    notification=pairs(messaging.Notification, {}, title=words, body=words, image=words),
    android=android,
    apns=apns,
    webpush=webpush,
    fcm_options=pairs(messaging.FCMOptions, {}, analytics_label=labels),
)


@settings(deadline=None, max_examples=150)
@given(messages)
def test_messages_are_equal(pair):
    payload, their_message = pair
    topic = payload.pop("topic")
    assert ours({"topic": topic}, payload) == {"message": json.loads(str(their_message))}
