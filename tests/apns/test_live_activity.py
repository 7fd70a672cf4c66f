from datetime import UTC, datetime, timedelta

import pytest

from pushtasks.apns import live_activity
from pushtasks.apns.notification import notification
from pushtasks.errors import InvalidPush

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
SECONDS = 1_793_534_400
STATE = {"home": 1, "away": 0}
START = {
    "attributes_type": "GameAttributes",
    "attributes": {"teams": ["A", "B"]},
    "alert": {"title": "Kick-off", "body": "A against B"},
}


def refusal(function, *arguments, **options):
    with pytest.raises(InvalidPush) as caught:
        function(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_start_has_what_ios_needs_to_begin():
    assert live_activity.start(STATE, timestamp=NOW, **START) == {
        "aps": {
            "timestamp": SECONDS,
            "event": "start",
            "content-state": {"home": 1, "away": 0},
            "alert": {"title": "Kick-off", "body": "A against B"},
            "attributes-type": "GameAttributes",
            "attributes": {"teams": ["A", "B"]},
        }
    }


def test_start_may_ask_to_be_updated_by_a_channel_or_a_token():
    aps = live_activity.start(
        STATE, input_push_channel="dHN0LWNoYW5uZWw=", input_push_token=True, **START
    )["aps"]
    assert aps["input-push-channel"] == "dHN0LWNoYW5uZWw="
    assert aps["input-push-token"] == 1


def test_update_has_its_dates_in_seconds():
    payload = live_activity.update(
        STATE,
        alert="Goal!",
        timestamp=NOW,
        stale_date=NOW + timedelta(minutes=15),
        relevance_score=75,
    )
    assert payload == {
        "aps": {
            "timestamp": SECONDS,
            "event": "update",
            "content-state": {"home": 1, "away": 0},
            "stale-date": SECONDS + 900,
            "relevance-score": 75,
            "alert": "Goal!",
        }
    }


def test_end_says_when_to_disappear():
    payload = live_activity.end({}, dismissal_date=NOW + timedelta(hours=1), timestamp=NOW)
    assert payload == {
        "aps": {
            "timestamp": SECONDS,
            "event": "end",
            "content-state": {},
            "dismissal-date": SECONDS + 3600,
        }
    }


def test_timestamp_is_now_unless_given():
    before = int(datetime.now(UTC).timestamp())
    timestamp = live_activity.update(STATE)["aps"]["timestamp"]
    assert before <= timestamp <= datetime.now(UTC).timestamp()


@pytest.mark.parametrize(
    "payload",
    [
        live_activity.start(STATE, **START),
        live_activity.update(STATE),
        live_activity.end(STATE),
    ],
    ids=["start", "update", "end"],
)
def test_every_one_is_sent_as_a_live_activity(payload):
    push = notification(payload, topic="com.example.app")
    assert push.push_type == "liveactivity"
    assert push.topic == "com.example.app.push-type.liveactivity"


@pytest.mark.parametrize(
    ("options", "beginning", "way_out"),
    [
        ({"attributes_type": ""}, "attributes_type ''", "ActivityAttributes"),
        ({"attributes_type": None}, "attributes_type None", "ActivityAttributes"),
        ({"attributes": None}, "attributes is of type NoneType", "{} if that has no fields"),
        ({"alert": None}, "alert is empty", "give its title and body"),
        ({"alert": {}}, "alert is empty", "give its title and body"),
        ({"alert": ["Hi"]}, "alert is of type list", "a dict with title and body"),
        ({"input_push_channel": ""}, "input_push_channel ''", "leave it out"),
        ({"input_push_channel": 7}, "input_push_channel 7", "leave it out"),
        ({"timestamp": NOW.replace(tzinfo=None)}, "timestamp datetime", "datetime.now(UTC)"),
        ({"stale_date": 1700000000}, "stale_date 1700000000", "datetime.now(UTC)"),
    ],
)
def test_start_that_ios_would_drop_is_refused(options, beginning, way_out):
    message = refusal(live_activity.start, STATE, **(START | options))
    assert message.startswith(beginning)
    assert way_out in message


@pytest.mark.parametrize("function", [live_activity.update, live_activity.end])
def test_state_must_be_a_dict(function):
    assert refusal(function, "1:0").startswith("content_state is of type str")


def test_dismissal_date_must_be_aware():
    message = refusal(live_activity.end, STATE, dismissal_date=NOW.replace(tzinfo=None))
    assert message.startswith("dismissal_date ")
