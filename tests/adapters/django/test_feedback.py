"""What becomes of rows and receivers when providers tell about devices."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st
from phones.models import Phone

from pushtasks import signals as worker_signals
from pushtasks.adapters.django import signals
from pushtasks.adapters.django.feedback import device_models, on_news, take
from pushtasks.feedback import Entry, Kind

TOKEN, OTHER = "ab" * 32, "cd" * 32
ACTIVE = (True, "")
#: Examples.
MANY = 500 if os.environ.get("CI") else 100
REGISTERED = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def heard():
    """What Django's signals told, as (kind, token); receivers are gone with the test."""
    told = []

    def listen(entry, **_):
        told.append((entry.kind, entry.token))

    ours = (signals.token_expired, signals.token_replaced, signals.rejected_late)
    for signal in ours:
        signal.connect(listen)
    yield told
    for signal in ours:
        signal.disconnect(listen)


@pytest.fixture
def failing():
    """A receiver of Django's signals that fails for the tokens put into this set."""
    tokens = set()

    def fail(entry, **_):
        if entry.token in tokens:
            raise RuntimeError("no room for news")

    signals.token_expired.connect(fail)
    yield tokens
    signals.token_expired.disconnect(fail)


def test_the_installed_models_are_found():
    assert device_models() == [Phone]


# Dead tokens ------------------------------------------------------------------------------------


def test_a_dead_token_is_deactivated_with_the_reason_and_others_are_not(make_phone, news, rows):
    make_phone(TOKEN)
    make_phone(OTHER)
    make_phone(TOKEN, app="other")
    make_phone(TOKEN, provider="gcm")

    take([news(TOKEN, reason="Unregistered")])

    states = Phone.objects.values_list("provider", "app", "token", "is_active", "inactive_reason")
    assert set(states) == {
        ("apns", "default", TOKEN, False, "Unregistered"),
        ("apns", "default", OTHER, True, ""),
        ("apns", "other", TOKEN, True, ""),
        ("gcm", "default", TOKEN, True, ""),
    }
    assert rows()[OTHER] == ACTIVE


@pytest.mark.parametrize(
    ("seen", "dead", "is_active"),
    [
        (60, None, False),
        (0, None, False),
        (-1, None, True),
        (60, 0, False),
        (60, -1, True),
    ],
)
@pytest.mark.parametrize("use_tz", [True, False])
def test_a_token_that_was_registered_after_its_death_lives(
    seen, dead, is_active, use_tz, make_phone, news, rows
):
    dead_since = None if dead is None else REGISTERED + timedelta(seconds=dead)
    with override_settings(USE_TZ=use_tz, TIME_ZONE="Asia/Tokyo"):
        local = REGISTERED + timedelta(hours=9)
        make_phone(TOKEN, registered_at=REGISTERED if use_tz else local.replace(tzinfo=None))

        take([news(TOKEN, seen, dead_since=dead_since)])

    assert rows()[TOKEN][0] is is_active


@pytest.mark.parametrize("stored", [TOKEN.upper(), f"<{TOKEN}>"])
def test_a_token_is_found_as_it_was_stored_by_whatever_import(stored, make_phone, news, rows):
    make_phone(stored)

    take([news(stored)])

    assert rows()[stored][0] is False


def test_the_feedback_service_finds_what_was_told_with_other_letters(make_phone, news, rows):
    make_phone(TOKEN)

    take([news(TOKEN.upper())])

    assert rows()[TOKEN][0] is False


@pytest.mark.parametrize("token", ["no hexadecimal", ""])
def test_a_token_that_is_none_can_be_told_dead_too(token, make_phone, news, rows):
    make_phone(token)

    take([news(token)])

    assert rows()[token][0] is False


def test_a_reason_that_is_too_long_is_cut(make_phone, news, rows):
    make_phone(TOKEN)

    take([news(TOKEN, reason="x" * 100)])

    assert rows()[TOKEN] == (False, "x" * 64)


# Replaced tokens --------------------------------------------------------------------------------


def replaced(news, old="old", new="new", seconds=60.0):
    given = {"kind": Kind.REPLACED, "provider": "gcm", "reason": None, "canonical_id": new}
    return news(old, seconds, **given)


def test_a_replaced_token_is_stored_as_if_registered_then(make_phone, news, rows):
    device = make_phone("old", provider="gcm")

    take([replaced(news)])

    device.refresh_from_db()
    assert (device.token, device.is_active) == ("new", True)
    assert device.registered_at == REGISTERED + timedelta(seconds=60)
    assert rows() == {"new": ACTIVE}


def test_a_device_that_has_the_new_token_already_takes_the_place_of_the_old(make_phone, news, rows):
    make_phone("old", provider="gcm")
    make_phone("new", provider="gcm", owner="bob")

    take([replaced(news)])

    assert rows() == {"old": (False, "replaced"), "new": ACTIVE}
    assert Phone.objects.get(token="new").owner == "bob"


def test_two_devices_that_were_one_become_one(make_phone, news, rows):
    make_phone("old", provider="gcm")
    make_phone("older", provider="gcm")

    take([replaced(news, "old"), replaced(news, "older")])

    assert rows() == {"new": ACTIVE, "older": (False, "replaced")}


def test_a_token_that_was_replaced_and_is_registered_again_stays(make_phone, news, rows):
    make_phone("old", provider="gcm")

    take([replaced(news, seconds=-1)])

    assert rows() == {"old": ACTIVE}


def test_news_of_the_death_of_a_successor_from_before_its_time_come_too_late(
    make_phone, news, rows
):
    make_phone("old", provider="gcm")

    take([replaced(news), news("new", 30, provider="gcm")])

    assert rows() == {"new": ACTIVE}


def test_a_device_that_was_called_dead_lives_when_it_is_told_as_a_successor(make_phone, news, rows):
    make_phone("old", provider="gcm")
    make_phone("new", provider="gcm")

    take([news("new", 30, provider="gcm"), replaced(news)])

    assert rows() == {"old": (False, "replaced"), "new": ACTIVE}
    assert Phone.objects.get(token="new").registered_at == REGISTERED + timedelta(seconds=60)


def test_a_successor_that_the_app_has_switched_off_stays_so(make_phone, news, rows):
    make_phone("old", provider="gcm")
    make_phone("new", provider="gcm", is_active=False)

    take([replaced(news)])

    assert rows() == {"old": (False, "replaced"), "new": (False, "")}


def test_an_inactive_device_is_left_alone(make_phone, news, rows):
    make_phone("old", provider="gcm", is_active=False)

    take([replaced(news)])

    assert rows() == {"old": (False, "")}


_TOKENS = ("a", "b", "c")
_entries = st.builds(
    Entry,
    kind=st.sampled_from(list(Kind)),
    provider=st.just("gcm"),
    app=st.just("default"),
    token=st.sampled_from(_TOKENS),
    seen_at=st.integers(-5, 5).map(lambda seconds: REGISTERED + timedelta(seconds=seconds)),
    canonical_id=st.sampled_from(_TOKENS),
)


@settings(max_examples=MANY)
@given(
    st.lists(_entries, max_size=6, unique_by=lambda one: one.seen_at),
    st.sets(st.sampled_from(_TOKENS)),
)
def test_whatever_comes_in_its_order_comes_to_the_same_a_second_time(entries, stored):
    entries.sort(key=lambda one: one.seen_at)
    with transaction.atomic():
        for token in stored:
            Phone.objects.create(provider="gcm", token=token, registered_at=REGISTERED)

        assert take(entries) == entries
        once = list(Phone.objects.order_by("pk").values())
        take(entries)

        assert list(Phone.objects.order_by("pk").values()) == once
        transaction.set_rollback(True)


# Receivers --------------------------------------------------------------------------------------


def test_receivers_hear_of_everything_when_the_rows_are_written(make_phone, news, heard):
    make_phone(TOKEN)
    states = []

    def look(entry, **_):
        states.append((Phone.objects.get(token=entry.token).is_active, connection.in_atomic_block))

    signals.token_expired.connect(look)
    late = news(OTHER, kind=Kind.REJECTED_LATE)
    try:
        taken = take([news(TOKEN), replaced(news), late])
    finally:
        signals.token_expired.disconnect(look)

    assert len(taken) == 3
    assert states == [(False, False)]
    assert heard == [(Kind.EXPIRED, TOKEN), (Kind.REPLACED, "old"), (Kind.REJECTED_LATE, OTHER)]


def test_what_a_receiver_fails_on_is_not_done_with_and_all_else_is(
    make_phone, news, heard, failing, rows
):
    make_phone(TOKEN)
    failing.add(TOKEN)

    [taken] = take([news(TOKEN), news(OTHER)])

    assert taken.token == OTHER
    assert rows()[TOKEN][0] is False
    assert len(heard) == 2


def test_a_worker_is_told_by_one_signal_of_its_own(make_phone, news, listening, heard, rows):
    make_phone(TOKEN)

    assert worker_signals.send(news(TOKEN).to_dict())

    assert rows()[TOKEN] == (False, "gone")
    assert heard == [(Kind.EXPIRED, TOKEN)]


def test_a_worker_hears_that_an_entry_must_come_again_and_logs_no_token(
    news, listening, failing, caplog
):
    failing.add(TOKEN)

    assert not worker_signals.send(news(TOKEN).to_dict())

    assert "news of ababab…: a receiver failed, so they come again" in caplog.text
    assert "no room for news" in caplog.text
    assert TOKEN not in caplog.text


def test_a_database_that_is_away_lets_an_entry_come_again(
    make_phone, news, listening, rows, table_away
):
    make_phone(TOKEN)
    with table_away():
        assert not worker_signals.send(news(TOKEN).to_dict())

    on_news(news(TOKEN).to_dict())

    assert rows()[TOKEN][0] is False
