from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from pushtasks.adapters.cli import fanout_view as view
from pushtasks.store.fanout_state import COUNTERS, Fanout, Spec, State

BEGAN = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
FILE = {"kind": "file", "size": 1000}


def fanout(*, ended=False, source=FILE, state=State.RUNNING, error=None, seconds=10, **counts):
    is_over = ended and counts.get("accepted") == counts.get("devices")
    return Fanout(
        id="3f1c0a9be2d4",
        spec=Spec("apns", "default", "Hi", source=source),
        state=State.FINISHED if is_over and state is State.RUNNING else state,
        source_ended=ended,
        has_publisher=not ended,
        error=error,
        created_at=BEGAN,
        finished_at=BEGAN + timedelta(seconds=seconds) if is_over else None,
        **{"position": None, **dict.fromkeys(COUNTERS, 0), **counts},
    )


def text(shown, width=80):
    console = Console(width=width)
    with console.capture() as captured:
        console.print(shown)
    return captured.get()


def test_the_devices_of_a_file_are_estimated_by_what_was_read_of_it():
    part = fanout(devices=50, position={"line": 50, "place": 250})

    assert part.expected == 200
    assert fanout(devices=50).expected is None
    assert fanout(devices=50, source={"kind": "items"}).expected is None
    assert fanout(devices=70, ended=True, position={"line": 70}).expected == 70


def test_a_pace_is_that_of_the_last_seconds():
    pace = view.Pace()
    assert pace.rate is None
    for second, settled in enumerate([0, 10, 20, 30, *[30 + 100 * n for n in range(1, 31)]]):
        pace.see(settled, second)

    assert pace.rate == pytest.approx(100)


def test_a_pace_is_not_told_too_early():
    pace = view.Pace()
    pace.see(0, 0.0)
    pace.see(5000, 0.5)

    assert pace.rate is None


def test_the_bar_says_how_far_how_fast_and_how_long_still():
    part = fanout(devices=5000, accepted=1900, rejected=100, retried=7, invalid=3,
                  position={"line": 5000, "place": 500})  # fmt: skip

    first, second = text(view.bar(part, 400.0)).splitlines()[:2]

    assert first.startswith("2,003 of about 10,000")
    assert first.split()[-3:] == ["400/s", "0:00:20", "left"]
    assert second == "1,900 accepted, 100 rejected, 7 retried, 3 invalid"


def test_the_bar_of_a_paused_fanout_says_so():
    paused = fanout(devices=50, state=State.PAUSED, source={"kind": "items"})

    assert text(view.bar(paused, 0.0)).splitlines()[0].split()[-1] == "paused"


def test_the_bar_fits_into_a_terminal():
    part = fanout(devices=10**8, accepted=10**8 - 5, rejected=5, position={"line": 1, "place": 900})

    assert max(map(len, text(view.bar(part, 40_000.0)).splitlines())) <= 80


def test_the_line_of_totals_has_just_its_keys():
    done = fanout(devices=5, accepted=5, ended=True, seconds=1.23456)

    assert view.totals(done) == {
        "id": "3f1c0a9be2d4",
        "devices": 5,
        "accepted": 5,
        "rejected": 0,
        "not_sent": 0,
        "maybe_sent": 0,
        "invalid": 0,
        "repeated": 0,
        "seconds": 1.235,
    }


def test_the_line_of_totals_tells_an_error_and_a_state_that_is_not_the_end():
    broken = view.totals(fanout(devices=5, accepted=5, ended=True, error="line 6: x"))
    cancelled = view.totals(fanout(devices=5, accepted=5, ended=True, state=State.CANCELLED))

    assert (broken["error"], "state" in broken) == ("line 6: x", False)
    assert (cancelled["state"], "error" in cancelled) == ("cancelled", False)


def test_a_table_leaves_out_what_did_not_happen():
    shown = text(view.totals_table(fanout(devices=5, accepted=5, ended=True, repeated=2)))

    rows = dict(line.split() for line in shown.splitlines() if len(line.split()) == 2)
    assert (rows["devices"], rows["accepted"], rows["rejected"], rows["repeated"]) == tuple("5502")
    assert "invalid" not in shown
    assert "10.0 s, 0/s" in shown


@pytest.mark.parametrize(
    ("seen", "well"),
    [
        (fanout(devices=5, accepted=5, ended=True), True),
        (fanout(ended=True), False),
        (fanout(devices=5, accepted=4), False),
        (fanout(devices=5, accepted=5, ended=True, error="x"), False),
        (fanout(devices=5, accepted=5, ended=True, state=State.CANCELLED), False),
    ],
)
def test_well_is_only_what_was_accepted_as_a_whole(seen, well):
    assert view.is_well(seen) is well


def test_tokens_are_masked_for_a_terminal():
    failure = {"token": "a" * 64, "canonical_id": None, "reason": "Unregistered"}

    assert view.masked(failure) == {**failure, "token": "aaaaaa…"}


@pytest.mark.parametrize("width", [60, 80])
def test_a_list_keeps_its_numbers_on_a_narrow_terminal(width):
    shown = text(view.list_table([fanout(ended=True, devices=3000, accepted=2999)]), width)

    assert max(map(len, shown.splitlines())) <= width
    for whole in ("3f1c0a9be2d4", "running", "devices", "accepted", "3,000", "2,999"):
        assert whole in shown
    assert "…" not in shown
    assert ("31 Jan 12:00" in shown) == ("apns.default" in shown) == (width == 80)
