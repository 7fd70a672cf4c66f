"""What is drawn of the last hour."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushtasks.adapters.http.page.plot import HEIGHT, VISIBLE, plot, spark, summed
from pushtasks.store.health import MINUTES, Minute

BEGAN = datetime(2026, 11, 22, 13, 3, tzinfo=UTC)


def hour(*counts):
    """Return an hour that ends with minutes of these counts."""
    all_counts = [(0, 0, 0)] * (MINUTES - len(counts)) + list(counts)
    return tuple(Minute(BEGAN + timedelta(minutes=n), *c) for n, c in enumerate(all_counts))


def test_bars_are_stacked_from_the_bottom_up():
    [bar] = plot(hour((50, 30, 20))).bars

    assert bar.x == 59
    assert [(part.kind, part.y, part.height) for part in bar.parts] == [
        ("accepted", 50, 50),
        ("rejected", 20, 30),
        ("unsent", 0, 20),
    ]
    assert bar.title == "14:02 UTC: 50 accepted, 30 rejected, 20 given up"


def test_one_rejection_among_a_million_can_be_seen():
    [bar] = plot(hour((1_000_000, 1, 0))).bars

    assert bar.parts[1].height == VISIBLE
    assert bar.title.endswith("1,000,000 accepted, 1 rejected")


@pytest.mark.parametrize(
    ("most", "top", "middle"),
    [(1, "2", "1"), (3, "4", "2"), (7, "8", "4"), (11, "20", "10"), (4100, "6,000", "3,000")],
)
def test_the_axis_ends_with_a_round_number_that_has_a_half(most, top, middle):
    drawn = plot(hour((most, 0, 0)))

    assert (drawn.top, drawn.middle) == (top, middle)


def test_the_plot_is_told_in_words():
    drawn = plot(hour((10, 0, 0), (1000, 200, 34), (1, 0, 0)))

    assert drawn.summary == (
        "1,011 accepted, 200 rejected, 34 given up; at the most 1,234 pushes in a minute, at 14:01"
        " UTC"
    )
    assert drawn.times == ("13:03", "13:18", "13:33", "13:48", "14:03")


counts = st.integers(0, 10**9)


@given(
    st.lists(st.tuples(counts, counts, counts), min_size=1, max_size=MINUTES).filter(
        lambda minutes: any(map(any, minutes))
    )
)
def test_nothing_is_drawn_outside(minutes):
    for bar in plot(hour(*minutes)).bars:
        assert 0 <= bar.x < MINUTES
        for part in bar.parts:
            assert part.y >= 0
            assert VISIBLE <= part.height <= HEIGHT


def test_a_small_drawing_is_one_path_for_each_kind():
    [accepted, rejected] = spark(hour((2, 0, 0), (1, 1, 0)))

    assert accepted == ("accepted", "M58 0h0.76v100h-0.76zM59 50h0.76v50h-0.76z")
    assert rejected == ("rejected", "M59 0h0.76v50h-0.76z")
    assert spark(hour((0, 0, 0))) == ()
    assert spark(()) == ()


def test_apps_are_added_up_minute_by_minute():
    both = summed([hour((1, 2, 3)), hour((10, 20, 30))])

    assert both[-1] == (BEGAN + timedelta(minutes=59), 11, 22, 33)
    assert len(both) == MINUTES
    assert summed([]) == ()
