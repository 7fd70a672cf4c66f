"""Numbers and times as people read them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from pushtasks.adapters.http.page.figures import Moment, counted, number, percent, span

NOW = datetime(2026, 11, 22, 14, 2, tzinfo=UTC)


def test_thousands_stand_apart():
    assert number(1_234_567) == "1,234,567"
    assert counted(1, "push", "pushes") == "1 push"
    assert counted(1200, "push", "pushes") == "1,200 pushes"
    assert counted(0, "time") == "0 times"


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 0, ""),
        (0, 5, "0 %"),
        (5, 5, "100 %"),
        (1, 2, "50.0 %"),
        (1, 100_000, "< 0.1 %"),
        (99_999, 100_000, "> 99.9 %"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(part, whole, shown):
    assert percent(part, whole) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (42, "42 s"),
        (60, "1 min"),
        (80, "1 min 20 s"),
        (659, "10 min"),
        (3600 + 20 * 60 + 5, "1 h 20 min"),
        (86_400 * 2 + 3600 * 5, "2 d 5 h"),
        (86_400 * 12 + 3600 * 5, "12 d"),
        (86_400 * 730, "2 y"),
    ],
)
def test_a_duration_has_no_more_units_than_say_something(seconds, shown):
    assert span(seconds) == shown


@pytest.mark.parametrize(
    ("after", "distance"),
    [
        (timedelta(seconds=0.4), "just now"),
        (timedelta(seconds=-42), "42 s ago"),
        (timedelta(minutes=-5, seconds=-6), "5 min ago"),
        (timedelta(hours=-3), "3 h ago"),
        (timedelta(days=12), "in 12 d"),
    ],
)
def test_an_instant_is_near_or_far(after, distance):
    assert Moment.of(NOW + after, NOW).distance == distance


def test_an_instant_is_told_in_utc_with_its_year_if_that_is_another():
    elsewhere = timezone(timedelta(hours=-5))

    assert Moment.of(NOW.astimezone(elsewhere), NOW).text == "22 Nov 14:02 UTC"
    assert Moment.of(NOW.astimezone(elsewhere), NOW).iso == "2026-11-22T14:02:00+00:00"
    assert Moment.of(NOW.replace(year=2027, day=3), NOW).text == "3 Nov 2027 14:02 UTC"
