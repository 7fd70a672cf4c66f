"""What is shown of what was read, and in which words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pushtasks.adapters.http.page.attention import concerns
from pushtasks.adapters.http.page.model import page_of
from pushtasks.adapters.http.page.seals import cancelling, is_genuine
from pushtasks.adapters.http.page.snapshot import App, Credential, Setup, Snapshot, Stream
from pushtasks.news import Entry, Kind
from pushtasks.store.fanout_state import Fanout, Spec
from pushtasks.store.health import MINUTES, Health, Minute, Suspicion

NOW = datetime(2026, 11, 22, 14, 2, 30, tzinfo=UTC)
EMPTY = Stream(0, 100_000, 0)
KEY = Setup("http2", "com.example.app", None, Credential("Key", "ABC of team T"))


def minutes(accepted=0, rejected=0, unsent=0):
    """Return an hour of which the last minute has counts."""
    began = NOW - timedelta(minutes=MINUTES)
    empty = [Minute(began + timedelta(minutes=n)) for n in range(MINUTES - 1)]
    return (*empty, Minute(NOW, accepted, rejected, unsent))


def app(*, setup=KEY, **health):
    known = {
        "minutes": minutes(),
        "accepted_at": None,
        "pause": 0.0,
        "backlog": 0.0,
        "suspicions": (),
    }
    return App("apns", "default", setup, {}, Health("apns", "default", **{**known, **health}))


def snapshot(*apps, **more):
    return Snapshot(NOW, apps, **{"stream": EMPTY, **more})


def fanout(state="running", *, has_publisher=True, ago=60, source=None, **fields):
    created = int((NOW - timedelta(seconds=ago)).timestamp() * 1000)
    written = {
        "spec": Spec("apns", "default", "secret", source=source or {}).to_json(),
        "state": state,
        "created_at": str(created),
        **{name: str(value) for name, value in fields.items()},
    }
    return Fanout.from_hash("f00", written, has_publisher=has_publisher)


def told(*apps, **more):
    """Return what needs attention, as level, subject and text."""
    return [one[:3] for one in concerns(snapshot(*apps, **more))]


# Apps -----------------------------------------------------------------------------------------


def test_reasons_come_by_number_and_the_rest_on_demand():
    counters = {"rejected": {"A": 1, "B": 5, "C": 3, "D": 2, "E": 4, "F": 0}, "late": 7}

    [row] = page_of(snapshot(replace(app(), counters=counters))).apps

    assert [(one.pushes, one.text) for one in row.reasons] == [("5", "B"), ("4", "E"), ("3", "C")]
    assert [one.text for one in row.more_reasons] == ["D", "A", "after their task had ended"]
    assert (row.rejected, row.share_rejected) == ("22", "100 %")


def test_one_more_reason_is_shown_rather_than_hidden():
    counters = {"rejected": {"A": 4, "B": 3, "C": 2, "D": 1}}

    [row] = page_of(snapshot(replace(app(), counters=counters))).apps

    assert [one.text for one in row.reasons] == ["A", "B", "C", "D"]
    assert row.more_reasons == ()


def test_counters_add_up_as_a_person_would():
    counters = {"accepted": 3, "not_sent": 1, "maybe_sent": 1, "pending": 9, "dead_tokens": 1200}

    [row] = page_of(snapshot(replace(app(), counters=counters))).apps

    assert (row.accepted, row.rejected, row.unsent, row.waiting) == ("3", "0", "2", "9")
    assert row.devices == ("1,200 dead",)


def test_an_app_without_settings_here_is_shown_all_the_same():
    [row] = page_of(snapshot(app(setup=None))).providers

    assert (row.service, row.credential, row.expiry) == (
        *("APNs", ""),
        "not in the settings of this process",
    )


# Providers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("health", "state"),
    [
        ({}, ("unknown", "not used yet")),
        ({"accepted_at": NOW}, ("fine", "fine")),
        ({"accepted_at": NOW, "pause": 90.0}, ("warning", "paused for 1 min 30 s more")),
        (
            {"accepted_at": NOW, "suspicions": (Suspicion("sandbox", 6, 10),)},
            ("wrong", "dead tokens held back"),
        ),
        ({"accepted_at": NOW, "suspicions": (Suspicion("sandbox", 5, 10),)}, ("fine", "fine")),
        ({"accepted_at": NOW, "suspicions": (Suspicion("sandbox", 2, 2),)}, ("fine", "fine")),
    ],
)
def test_how_an_app_fares(health, state):
    [row] = page_of(snapshot(app(**health))).providers

    assert (row.level, row.state) == state


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "within a minute"), (59, "within a minute"), (150, "2 min ago")]
)
def test_the_last_accepted_push_is_known_to_the_minute(seconds, shown):
    [row] = page_of(snapshot(app(accepted_at=NOW - timedelta(seconds=seconds)))).providers

    assert row.accepted.distance == shown


def test_a_rate_that_is_used_up_says_for_how_long():
    limited = replace(KEY, rate="9000/s")

    rows = page_of(snapshot(app(setup=limited), app(setup=limited, backlog=75.0))).providers

    assert [row.rate for row in rows] == ["9000/s", "9000/s, used up for 1 min 15 s"]


@pytest.mark.parametrize(("days", "level", "concerned"), [(31, "fine", 0), (29, "warning", 1)])
def test_a_certificate_is_warned_of_a_month_ahead(days, level, concerned):
    expires = NOW + timedelta(days=days)
    setup = replace(KEY, credential=Credential("Certificate", "x", expires))

    page = page_of(snapshot(app(setup=setup)))

    assert page.providers[0].expiry_level == level
    assert len(page.concerns) == concerned
    assert page.providers[0].expires.distance == f"in {days} d"


# Attention ------------------------------------------------------------------------------------


def test_all_is_well_where_nothing_is_wrong():
    assert told(app(accepted_at=NOW, minutes=minutes(5, 4))) == []


def test_an_app_of_which_nothing_is_accepted_is_wrong():
    [(level, subject, text)] = told(app(minutes=minutes(0, 1, 1)))

    assert (level, subject) == ("wrong", "apns.default")
    assert text == "Nothing was accepted in the last hour, and 2 pushes failed."


def test_held_back_tokens_are_told_once_and_with_their_environment():
    held = app(minutes=minutes(0, 3), suspicions=(Suspicion("sandbox", 3, 3),))

    [(level, _, text)] = told(held)

    assert level == "wrong"
    assert text.startswith("3 of 3 pushes (sandbox) were lately rejected as if")


def test_the_gravest_comes_first():
    lost = Stream(10, 10, 4)

    levels = [level for level, *_ in told(app(pause=5.0), stream=lost, troubles=("Redis is away",))]

    assert levels == ["wrong", "wrong", "warning"]


def test_a_consumer_that_fails_is_named_as_in_the_settings():
    [(level, subject, text)] = told(failing={"pushtasks.handler": 3})

    assert (level, subject) == ("wrong", "feedback.handler")
    assert text.startswith("Failed 3 times in a row")


@pytest.mark.parametrize(
    ("one", "subjects"),
    [
        (fanout(), []),
        (fanout(has_publisher=False), ["Fan-out f00"]),
        (fanout(has_publisher=False, ago=5), []),
        (fanout(has_publisher=False, source_ended=1), []),
        (fanout("paused", has_publisher=False), []),
        (fanout(error="the file is gone"), ["Fan-out f00"]),
        (
            fanout("finished", error="gone", finished_at=int(NOW.timestamp() * 1000)),
            ["Fan-out f00"],
        ),
        (fanout("finished", error="gone", finished_at=1), []),
    ],
)
def test_fan_outs_that_need_help_are_told(one, subjects):
    assert [subject for _, subject, _ in told(fanouts=(one,))] == subjects


# Fan-outs -------------------------------------------------------------------------------------


def row_of(one):
    [row] = page_of(snapshot(fanouts=(one,), secret="s3cret")).fanouts
    return row


def test_a_bar_has_a_part_for_each_end_of_a_device():
    row = row_of(
        fanout(devices=200, accepted=100, rejected=20, maybe_sent=1, invalid=1, source_ended=1)
    )

    assert [(part.kind, part.x, part.width) for part in row.segments] == [
        ("accepted", 0, 50),
        ("rejected", 50, 10),
        ("unsent", 60, 0.5),
        ("invalid", 60.5, 0.5),
    ]
    assert (row.percent, row.progress) == (61, "122 of 200 devices")
    assert [(one.label, one.value) for one in row.counts] == [
        ("accepted", "100"),
        ("rejected", "20"),
        ("given up", "1"),
        ("no device", "1"),
    ]


def test_a_bar_never_grows_beyond_its_end():
    row = row_of(fanout(devices=100_000, accepted=99_997, rejected=1, invalid=1, not_sent=1))

    assert row.segments == ()
    row = row_of(
        fanout(devices=100_000, accepted=99_997, rejected=1, invalid=1, not_sent=1, source_ended=1)
    )
    assert max(part.x + part.width for part in row.segments) <= 100
    assert row.percent == 99


def test_what_is_left_is_foretold_from_the_rate_so_far():
    row = row_of(
        fanout(devices=600, accepted=300, source={"size": 1000}, position='{"place": 500}')
    )

    assert row.progress == "300 of about 1,200 devices"
    assert row.percent == 25


def test_nobody_knows_how_far_a_stream_is():
    row = row_of(fanout(devices=600, accepted=300))

    assert (row.percent, row.progress) == (None, "300 of 600 devices that are read so far")


@pytest.mark.parametrize(
    ("one", "state", "level", "can_be_cancelled"),
    [
        (fanout(), "running", "running", True),
        (fanout("paused"), "paused", "warning", True),
        (fanout(has_publisher=False), "without publisher", "wrong", True),
        (fanout("cancelled"), "being cancelled", "over", False),
        (fanout("cancelled", finished_at=1), "cancelled", "over", False),
        (fanout("finished", finished_at=1), "finished", "over", False),
        (fanout("finished", finished_at=1, error="x"), "failed", "wrong", False),
        (fanout(error="x"), "running, with an error", "wrong", True),
    ],
)
def test_how_a_fan_out_stands_and_whether_it_can_be_cancelled(one, state, level, can_be_cancelled):
    row = row_of(one)

    assert (row.state, row.level) == (state, level)
    assert is_genuine(row.seal, "s3cret", cancelling("f00")) is can_be_cancelled


def test_a_seal_is_good_for_one_fan_out_and_one_secret():
    seal = row_of(fanout()).seal

    assert not is_genuine(seal, "s3cret", cancelling("f01"))
    assert not is_genuine(seal, "other", cancelling("f00"))
    assert "s3cret" not in repr(snapshot(secret="s3cret"))


# Devices --------------------------------------------------------------------------------------


def test_news_are_shown_masked_and_by_kind():
    news = [
        Entry(Kind.EXPIRED, "apns", "default", "ab" * 32, NOW, reason="Unregistered"),
        Entry(Kind.REPLACED, "gcm", "default", "old" * 50, NOW, canonical_id="new" * 50),
        Entry(Kind.REJECTED_LATE, "apns", "default", "cd" * 32, NOW),
        *[Entry(Kind.EXPIRED, "apns", "default", "ef" * 32, NOW)] * 20,
    ]

    page = page_of(snapshot(news=tuple(news)))

    assert (page.dead[0].token, page.dead[0].reason) == ("ababab…", "Unregistered")
    assert len(page.dead) == 8
    [replaced] = page.replaced
    assert (replaced.token, replaced.successor) == ("oldold…", "newnew…")
    assert "abababa" not in repr(page)


def test_a_flood_of_dead_tokens_does_not_pass_for_no_replaced_ones():
    flood = (Entry(Kind.EXPIRED, "apns", "default", "ef" * 32, NOW),) * 300

    assert page_of(snapshot(news=flood)).none_found == "None among the last 300 pieces of news."
    assert page_of(snapshot()).none_found == "None."


# All of it ------------------------------------------------------------------------------------


def test_what_could_not_be_read_is_said_and_not_taken_for_nothing():
    page = page_of(Snapshot(NOW, (replace(app(), health=None),), troubles=("Redis is away",)))

    assert not page.is_readable
    assert [one.text for one in page.concerns] == ["Redis is away"]
    assert page.providers[0].state == "not known"


def test_figures_of_the_hour_are_those_of_all_apps():
    page = page_of(snapshot(app(minutes=minutes(6, 3, 1)), app(minutes=minutes(10))))

    assert [(one.label, one.value, one.note) for one in page.figures] == [
        ("accepted", "16", "80.0 %"),
        ("rejected", "3", "15.0 %"),
        ("given up", "1", "5.0 %"),
        ("in the last full minute", "0", ""),
    ]
