import pytest
from celery import Celery
from celery.beat import Scheduler
from celery.schedules import crontab

from pushtasks.celery_loader import completed
from pushtasks.errors import InvalidSettings
from pushtasks.schedule import MEND, OCCASION, POLL, beat_schedule

BROKER = {"broker_url": "redis://localhost:6379/0"}
THEIRS = {"theirs": {"task": "their.task", "schedule": 60.0}}


@pytest.fixture
def host():
    app = Celery("host", broker="memory://", set_as_current=False)
    yield app
    app.close()


def schedule_of(settings=None, environ=None):
    return completed({**BROKER, **(settings or {})}, environ or {}, [])["beat_schedule"]


def test_the_ready_made_app_polls_feedback_every_day_at_twenty_past_four():
    entry = schedule_of()[POLL]

    assert entry["task"] == "pushtasks.poll_feedback"
    assert entry["schedule"] == crontab(hour=4, minute=20)


@pytest.mark.parametrize(
    ("settings", "environ"),
    [
        ({"pushtasks": {"feedback": {"poll_at": "23:05"}}}, {}),
        ({}, {"PUSHTASKS_FEEDBACK__POLL_AT": "23:05"}),
    ],
)
def test_the_time_is_that_of_the_settings(settings, environ):
    assert schedule_of(settings, environ)[POLL]["schedule"] == crontab(hour=23, minute=5)


def test_settings_that_cannot_be_used_leave_the_usual_time():
    broken = {"apns": {"default": {"topic": "com.example.app"}}, "feedback": {"poll_at": "23:05"}}

    assert schedule_of({"pushtasks": broken})[POLL]["schedule"] == crontab(hour=4, minute=20)


def test_a_schedule_of_ones_own_is_added_to():
    assert schedule_of({"beat_schedule": THEIRS}).keys() == {POLL, MEND, "theirs"}
    assert schedule_of({"beat_schedule": None}).keys() == {POLL, MEND}


def test_an_entry_of_ones_own_takes_the_place_of_ours():
    own = {POLL: {"task": POLL, "schedule": 3600.0}}

    assert schedule_of({"beat_schedule": own})[POLL] == own[POLL]


def test_none_in_place_of_an_entry_takes_it_off():
    assert schedule_of({"beat_schedule": {POLL: None}}).keys() == {MEND}


def test_another_app_adds_it_to_its_own_schedule(host):
    host.conf.pushtasks = {"feedback": {"poll_at": "00:00"}}
    host.conf.beat_schedule = {**beat_schedule(host), **THEIRS}

    entries = Scheduler(host).schedule

    assert {POLL, MEND, "theirs"} <= entries.keys()
    assert entries[POLL].schedule == crontab(hour=0, minute=0)


def test_a_mistake_in_the_settings_of_another_app_is_told(host):
    host.conf.pushtasks = {"feedback": {"poll_at": "noon"}}

    with pytest.raises(InvalidSettings, match=r"feedback\.poll_at: 'noon' is wrong"):
        beat_schedule(host)


def test_a_call_that_waits_for_a_worker_until_the_next_occasion_is_dropped(host):
    assert beat_schedule(host)[POLL]["options"] == {"expires": OCCASION}
