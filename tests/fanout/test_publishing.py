"""Starting, pausing, killing and resuming what publishes a fan-out."""

import subprocess
import sys
import time
from importlib import import_module

import pytest

from pushtasks import InvalidPush, PushError, fanout
from pushtasks.chunks import mending
from pushtasks.fanout import holding
from pushtasks.fanout.holding import Holding
from pushtasks.store import StoreUnavailable, keys
from pushtasks.store.fanout_state import State


def tokens(count):
    return [f"{number:08x}" for number in range(1, count + 1)]


@pytest.fixture
def start(host):
    """(devices, options) → a fan-out to Apple, in chunks of 5."""

    def begin(devices, **options):
        return fanout.start("apns", devices, "Hi", celery_app=host, **{"chunk": 5, **options})

    return begin


@pytest.fixture
def file(tmp_path):
    """(devices) → a file of them, one a line."""

    def write(devices):
        path = tmp_path / "tokens.txt"
        path.write_text("\n".join(devices))
        return path

    return write


def test_every_device_is_published_once_in_order_and_counted(start, eager_workers, host):
    started = start(iter(tokens(23)))

    done = fanout.wait(started.id, 10, celery_app=host)

    assert eager_workers.devices == tokens(23)
    assert [chunk["chunk"] for chunk in eager_workers.chunks] == [0, 1, 2, 3, 4]
    assert (done.state, done.devices, done.accepted) == (State.FINISHED, 23, 23)
    assert (done.error, done.has_publisher) == (None, False)


def test_devices_with_something_of_their_own_take_it_along(start, eager_workers, host):
    started = start(["ab", ("cd", {"priority": 5}), {"token": "ef", "payload": "own"}])

    fanout.wait(started.id, 10, celery_app=host)

    assert eager_workers.devices == ["ab", ["cd", {"priority": 5}], ["ef", {"payload": "own"}]]


def test_mixed_devices_keep_their_provider(host, eager_workers):
    devices = [("apns", "ab"), ("gcm", "x:y"), {"provider": "gcm", "token": "z"}]

    started = fanout.start(None, devices, "Hi", celery_app=host)
    fanout.wait(started.id, 10, celery_app=host)

    assert eager_workers.devices == [["apns", "ab"], ["gcm", "x:y"], ["gcm", "z"]]
    assert started.spec.provider == "mixed"


@pytest.mark.parametrize(
    ("options", "told"),
    [({"window": -1}, "window -1"), ({"key": ""}, "key: must be"), ({"key": "\ud800"}, "key")],
)
def test_what_could_never_go_on_is_refused(start, fanouts, options, told):
    with pytest.raises(InvalidPush, match=told):
        start(tokens(5), **options)

    assert fanouts.newest() == []


def test_what_is_no_device_is_told_with_its_line_and_the_rest_goes(start, eager_workers, host):
    started = start(["ab", "nonsense", "cd", ("ef", {"payload": "x" * 5000}), "01"])

    done = fanout.wait(started.id, 10, celery_app=host)

    assert eager_workers.devices == ["ab", "cd", "01"]
    assert (done.devices, done.accepted, done.invalid) == (5, 3, 2)
    told = list(fanout.failures(started.id, celery_app=host))
    assert [(one["line"], one["token"], one["outcome"]) for one in told] == [
        (2, "nonsense", "invalid"),
        (4, "ef", "invalid"),
    ]
    assert "5020 bytes" in told[1]["reason"]


def test_a_source_of_nothing_but_trouble_is_published_without_a_task(start, workers, host):
    done = start(["x"] * 12)

    assert (done.is_over, done.devices, done.invalid) == (True, 12, 12)
    assert workers.waiting() == 0


def test_a_key_in_a_redis_that_stays_away_is_read_on_later(start, host, monkeypatch):
    module = import_module("pushtasks.fanout.redis_key")  # the package has a function of that name
    monkeypatch.setattr(module, "keep_trying", lambda call: call())

    with pytest.raises(StoreUnavailable):
        start(fanout.redis_key("devices", "redis://127.0.0.1:1/0"))

    [begun] = fanout.recent(celery_app=host)
    assert (begun.source_ended, begun.is_over, begun.error) == (False, False, None)


def test_an_empty_source_ends_well(start, host):
    done = start([])

    assert (done.state, done.devices, done.error) == (State.FINISHED, 0, None)


def test_a_source_that_raises_is_sent_as_far_as_it_was_read(start, eager_workers, host):
    def broken():
        yield from tokens(7)
        raise OSError("disk on fire")

    started = start(broken())

    done = fanout.wait(started.id, 10, celery_app=host)
    assert (done.state, done.devices, done.accepted) == (State.FINISHED, 7, 7)
    assert done.error == "line 8: OSError: disk on fire"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"priority": 3}, "priority 3"),
        ({"colour": "red"}, "no option 'colour'"),
        ({"chunk": 0}, "chunk 0"),
    ],
)
def test_what_all_devices_share_is_checked_before_anything_begins(options, told, start, host):
    devices = iter(tokens(3))

    with pytest.raises(InvalidPush, match=told):
        start(devices, **options)

    assert next(devices) == tokens(1)[0]
    assert fanout.recent(celery_app=host) == []


def test_an_app_that_is_not_set_is_refused_where_others_are(start, host):
    host.conf.pushtasks = {"gcm": {"default": {"protocol": "legacy", "api_key": "x"}}}

    with pytest.raises(InvalidPush, match="app 'default' is not in the apns settings"):
        start(tokens(3))


GATEWAY = {"apns": {"default": {"protocol": "binary", "certificate": "cert.pem"}}}


@pytest.mark.parametrize(
    ("payload", "options", "told"),
    [
        ({"alert": 7, "aps": "Hi"}, {}, "aps"),
        ("Hi", {"dry_run": True}, "fan-out to apns has no option 'dry_run'"),
        ("Hi", {"app": "theirs"}, "app 'theirs' is not in the apns settings"),
    ],
)
def test_it_can_be_checked_without_beginning_anything(payload, options, told, start, host):
    host.conf.pushtasks = GATEWAY
    with pytest.raises(InvalidPush, match=told):
        fanout.check("apns", payload, celery_app=host, **options)

    fanout.check("apns", "Hi", priority=5, celery_app=host)

    assert fanout.recent(celery_app=host) == []


def test_the_same_key_is_published_once(start, eager_workers, host):
    first = start(tokens(3), key="news")
    again = start(tokens(3), key="news")
    fanout.wait(first.id, 10, celery_app=host)

    assert again.id == first.id
    assert eager_workers.devices == tokens(3)


# Back-pressure ----------------------------------------------------------------------------------


def test_no_more_chunks_than_the_window_wait_in_the_broker(start, workers, aside, wait_until, host):
    read = []
    devices = (read.append(n) or f"{n:08x}" for n in range(100))

    publishing = aside(start, devices, window=4)
    wait_until(lambda: workers.waiting() == 4 and len(read) >= 5 * 5)
    seen = len(read)
    workers.let(100)
    started = publishing.result()

    assert seen == 5 * 5  # a fifth chunk stands by
    assert workers.most_waiting <= 4
    assert fanout.wait(started.id, 10, celery_app=host).accepted == 100


def test_large_chunks_make_the_window_small(start, workers, aside, wait_until):
    devices = [("ab", {"payload": "x" * 4000})] * 3000

    publishing = aside(start, devices, chunk=1000)
    wait_until(lambda: workers.waiting() >= 30)
    workers.let(1000)
    publishing.result()

    assert workers.most_waiting * 256 * 1024 < 10 * 1024 * 1024


def test_progress_is_told_at_the_beginning_and_while_it_waits(start, workers, aside, wait_until):
    seen = []

    publishing = aside(start, tokens(50), window=2, progress=seen.append)
    wait_until(lambda: len(seen) >= 3)
    workers.let(100)
    publishing.result()

    assert seen[0].devices == 0
    assert seen[2].chunks_published == 2


# Steering ---------------------------------------------------------------------------------------


def test_a_paused_fanout_is_published_no_further_until_it_is_resumed(
    start, workers, aside, wait_until, host
):
    publishing = aside(start, tokens(100), window=2)
    wait_until(lambda: fanout.recent(celery_app=host) and workers.waiting() == 2)
    [begun] = fanout.recent(celery_app=host)

    paused = fanout.pause(begun.id, celery_app=host)
    workers.let(1000)
    wait_until(lambda: fanout.status(begun.id, celery_app=host).chunks_done >= 2)
    settled = fanout.status(begun.id, celery_app=host)
    time.sleep(0.3)  # nothing is to happen
    still = fanout.status(begun.id, celery_app=host)
    resumed = fanout.resume(begun.id, celery_app=host)

    assert paused.state is State.PAUSED
    assert still.chunks_published == settled.chunks_published <= 3
    assert resumed.state is State.RUNNING
    assert publishing.result().devices == 100
    assert fanout.wait(begun.id, 10, celery_app=host).accepted == 100


def test_a_cancelled_fanout_is_published_no_further_and_is_over(
    start, workers, aside, wait_until, host
):
    publishing = aside(start, tokens(100), window=2)
    wait_until(lambda: workers.waiting() == 2)
    [begun] = fanout.recent(celery_app=host)

    fanout.cancel(begun.id, celery_app=host)
    stopped = publishing.result()
    workers.let(2)
    done = fanout.wait(begun.id, 10, celery_app=host)

    assert stopped.chunks_published <= 3
    assert (done.state, done.is_over) == (State.CANCELLED, True)
    with pytest.raises(InvalidPush, match="was cancelled: start another"):
        fanout.resume(begun.id, celery_app=host)


def test_what_is_over_can_neither_be_paused_nor_cancelled(start, host):
    done = start([])

    for steer in (fanout.pause, fanout.cancel):
        with pytest.raises(InvalidPush, match=f"fan-out {done.id} is finished: it cannot be"):
            steer(done.id, celery_app=host)
    assert fanout.resume(done.id, celery_app=host).state is State.FINISHED


def test_to_pause_or_cancel_twice_is_to_do_it_once(start, workers, host):
    started = start(tokens(5))

    for steer in (fanout.pause, fanout.cancel):
        assert steer(started.id, celery_app=host).state is steer(started.id, celery_app=host).state


@pytest.mark.parametrize("name", ["status", "pause", "cancel", "resume", "failures", "wait"])
def test_an_unknown_fanout_is_told(name, host):
    with pytest.raises(InvalidPush, match="fan-out 'nope' is not known"):
        getattr(fanout, name)("nope", celery_app=host)


def test_a_wait_ends_in_time(start, workers, host):
    started = start(tokens(5))

    with pytest.raises(TimeoutError, match=r"is not over within 0\.1 s"):
        fanout.wait(started.id, 0.1, celery_app=host)


# Resuming ---------------------------------------------------------------------------------------


@pytest.fixture
def killed(host, redis_server, workers, wait_until):
    """(code that makes devices) → a fan-out in chunks of 5 whose publisher was killed."""

    def kill(devices):
        code = (
            "from celery import Celery; from pushtasks import fanout;"
            "from pushtasks.fanout import holding; holding.LEASE, holding.RENEW = 1.0, 0.2;"
            f"app = Celery('x', broker={redis_server.url(0)!r}); app.conf.pushtasks = {{}};"
            f"fanout.start('apns', {devices}, 'Hi', chunk=5, window=4, celery_app=app)"
        )
        process = subprocess.Popen([sys.executable, "-c", code])  # noqa: S603
        wait_until(lambda: workers.waiting() == 4)
        process.kill()
        process.wait()
        [begun] = fanout.recent(celery_app=host)
        assert (begun.chunks_published, begun.source_ended) == (4, False)
        return begun.id

    return kill


def test_a_killed_publisher_is_resumed_where_it_was(killed, file, workers, host):
    id_ = killed(f"fanout.file({str(file(tokens(98)))!r})")
    with pytest.raises(PushError, match=f"publisher has stopped .*  pushtasks fanout resume {id_}"):
        fanout.wait(id_, 20, celery_app=host)

    workers.let(1000)
    resumed = fanout.resume(id_, celery_app=host)
    done = fanout.wait(id_, 10, celery_app=host)

    assert resumed.source_ended
    assert workers.devices == tokens(98)
    assert (done.devices, done.accepted, done.error) == (98, 98, None)


def test_what_cannot_be_read_again_is_given_once_more(killed, workers, host, monkeypatch):
    id_ = killed("iter([f'{number:08x}' for number in range(1, 99)])")
    workers.let(1000)

    with pytest.raises(InvalidPush, match="give the same ones once more"):
        fanout.resume(id_, celery_app=host)
    fanout.resume(id_, iter(tokens(98)), celery_app=host)

    assert fanout.wait(id_, 10, celery_app=host).accepted == 98
    assert workers.devices == tokens(98)


def test_chunks_that_the_broker_has_lost_are_published_again(
    start, file, workers, host, monkeypatch
):
    monkeypatch.setattr(mending, "OVERDUE", 0.2)
    monkeypatch.setattr(mending, "SILENCE", 0.4)
    monkeypatch.setattr(mending, "LOOK", 0.05)
    started = start(fanout.file(file([*tokens(12), *["nonsense"] * 5, *tokens(23)[12:]])))
    for _ in range(2):
        workers.take()  # and lose it
    workers.settle(workers.take())
    workers.let(100)

    done = fanout.wait(started.id, 10, celery_app=host)

    assert started.chunks_published == done.chunks_published == 6
    assert (done.devices, done.accepted, done.invalid) == (28, 23, 5)


def test_a_file_that_has_changed_is_refused_unless_forced(start, file, workers, host, fanouts):
    path, started = file(tokens(20)), None
    started = interrupted(start, fanout.file(path), fanouts)
    path.write_text("\n".join(["ff" * 4, *tokens(19)]))
    workers.let(1000)

    with pytest.raises(InvalidPush, match=r"has changed since fan-out .* began"):
        fanout.resume(started, celery_app=host)
    fanout.resume(started, force=True, celery_app=host)

    assert fanout.wait(started, 10, celery_app=host).devices == 20


def test_another_kind_of_source_is_refused(start, file, fanouts, host):
    started = interrupted(start, fanout.file(file(tokens(20))), fanouts)

    with pytest.raises(InvalidPush, match="began with devices from a file, of which 5 were read"):
        fanout.resume(started, tokens(20), celery_app=host)


def test_a_file_may_come_again_as_a_stream(start, file, fanouts, host, workers):
    path = file(["", *tokens(20)])
    started = interrupted(start, fanout.file(path), fanouts)

    workers.let(100)
    with path.open("rb") as opened:
        fanout.resume(started, opened, celery_app=host)

    assert fanout.wait(started, 10, celery_app=host).accepted == 20
    assert workers.devices == tokens(20)


class _Stop(BaseException):
    """As Ctrl-C."""


def interrupted(start, devices, fanouts):
    """Return the id of a fan-out whose publisher was stopped after a chunk."""

    def stop(seen):
        if seen.chunks_published:
            raise _Stop

    with pytest.raises(_Stop):
        start(devices, window=1, progress=stop)
    [begun] = fanouts.newest()
    assert (begun.chunks_published, begun.has_publisher) == (1, False)
    return begun.id


def test_a_second_publisher_keeps_out_while_the_first_lives(
    start, workers, aside, wait_until, host
):
    publishing = aside(start, tokens(50), window=1)
    wait_until(lambda: workers.waiting() == 1)
    [begun] = fanout.recent(celery_app=host)

    second = aside(fanout.resume, begun.id, tokens(50), celery_app=host)
    workers.let(100)

    assert second.result().id == begun.id
    publishing.result()
    assert fanout.wait(begun.id, 10, celery_app=host).accepted == 50
    assert workers.devices == tokens(50)


def test_a_publisher_that_others_thought_dead_stops(
    start, workers, aside, wait_until, host, fanouts, monkeypatch
):
    monkeypatch.setattr(holding, "RENEW", 0.1)
    publishing = aside(start, tokens(50), window=1)
    wait_until(lambda: workers.waiting() == 1)
    [begun] = fanout.recent(celery_app=host)
    forget_publisher(fanouts, begun.id)

    assert Holding(fanouts, begun.id).claim()
    with pytest.raises(PushError, match="another publisher has taken over"):
        publishing.result()


def forget_publisher(fanouts, id_):
    """Let a publisher's lock run out."""
    fanouts._connection.redis.delete(keys.fanout_keys(id_)[1])


def test_the_package_offers_it_without_an_import_of_its_own():
    code = "import pushtasks; print(pushtasks.fanout.start.__name__)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603

    assert done.stdout == "start\n"
