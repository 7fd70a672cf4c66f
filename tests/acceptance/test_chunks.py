"""Chunks of fan-outs through real workers: each device once in the totals, whoever is killed."""

import random
import time

import pytest
import redis

from pushtasks.store import current_store
from pushtasks.store.chunks import Work
from pushtasks.store.fanout_state import Spec, State

TIMEOUT = 60
THREADS = ("-P", "threads", "-c", "4")


def tokens(count, start=0):
    return [f"{number:064x}" for number in range(start, start + count)]


class FanOuts:
    """Publishes fan-outs as simply as can be, all chunks at once."""

    def __init__(self, host, wait_until):
        self._host = host
        self._wait_until = wait_until
        self.store = current_store(host)
        self.state = self.store.fanouts

    def start(self, entries, payload="Hi", *, provider="apns", chunk=100, **options):
        """Start one; lines count from 0."""
        id_, _ = self.state.create(Spec(provider, "default", payload, options))
        for number, first in enumerate(range(0, len(entries), chunk)):
            some = entries[first : first + chunk]
            self.publish(id_, number, some, lines=first)
            self.send(id_, number)
        self.state.source_ended(id_)
        return id_

    def publish(self, id_, number, entries, lines=0):
        work = Work(entries, lines).to_json()
        self.state.published(id_, number, len(entries), lines + len(entries), work=work)

    def send(self, id_, number):
        return self._host.tasks["pushtasks.send_chunk"].delay(id_, number)

    def wait(self, id_):
        self._wait_until(lambda: self.state.standing(id_).is_over, TIMEOUT)
        return self.state.find(id_)


@pytest.fixture
def fanouts(host, wait_until):
    return FanOuts(host, wait_until)


def test_every_device_is_settled_once_and_nothing_stays_but_the_totals(
    start_worker, fanouts, emulator, redis_server
):
    start_worker(*THREADS)
    devices = tokens(1000)
    emulator.control(
        "PUT", f"/tokens/{devices[250]}", {"reason": "Unregistered", "timestamp": 1000}
    )
    busy = {"reason": "ServiceUnavailable", "times": 1}
    emulator.control("PUT", f"/tokens/{devices[251]}", {**busy, "retry_after": 1})
    entries = [*devices, "nonsense", [devices[0], {"payload": "x" * 5000}]]

    done = fanouts.wait(fanouts.start(entries))

    assert done.state is State.FINISHED
    assert (done.devices, done.accepted, done.rejected, done.invalid) == (1002, 999, 1, 2)
    assert (done.retried, done.repeated, done.failures, done.chunks_done) == (1, 0, 3, 11)
    received = [entry["token"] for entry in emulator.received()]
    assert sorted(received) == sorted([*devices, devices[251]])
    failures = [failure for _, failure in fanouts.state.failures(done.id)]
    assert {failure["line"]: failure["reason"] for failure in failures if failure["status"]} == {
        250: "Unregistered"
    }
    assert {failure["line"] for failure in failures} == {250, 1000, 1001}
    report = fanouts.store.report()["apns"]["default"]
    assert (report["attempts"], report["accepted"], report["pending"]) == (1002, 999, 0)
    assert report["rejected"] == {"Unregistered": 1, "InvalidPush": 2}
    assert [entry.token for entry in fanouts.store.entries()] == [devices[250]]
    with redis.Redis.from_url(redis_server.url(1), decode_responses=True) as client:
        assert not [name for name in client.scan_iter("*") if "chunk" in name or "celery" in name]


def test_a_chunk_that_is_delivered_again_is_not_sent_again(start_worker, fanouts, emulator):
    start_worker(*THREADS)
    devices = tokens(100)
    id_ = fanouts.start(devices)
    fanouts.wait(id_)

    fanouts.send(id_, 0)
    other = fanouts.wait(fanouts.start(tokens(10)))

    found = fanouts.state.find(id_)
    assert (found.accepted, found.devices, found.repeated) == (100, 100, 0)
    assert other.accepted == 10
    assert emulator.control("GET", "/received/count") == {"count": 110}


def test_devices_of_both_providers_go_in_one_chunk_each_with_its_own(
    start_worker, fanouts, emulator
):
    start_worker(*THREADS)
    emulator.control("PUT", "/tokens/gone", {"reason": "UNREGISTERED"})
    entries = [
        ["apns", tokens(1)[0]],
        ["gcm", "one"],
        ["gcm", "two", {"payload": {"data": {"n": "2"}}}],
        ["gcm", "gone"],
        ["apns", tokens(2)[1], {"payload": "own"}],
        ["wns", "three"],
        "four",
    ]

    payload = {"apns": "shared", "gcm": {"data": {"n": "1"}}}
    done = fanouts.wait(fanouts.start(entries, payload, provider="mixed"))
    alone = fanouts.wait(fanouts.start(["five", ["six"], {"topic": "news"}], "Hi", provider="gcm"))

    assert (done.accepted, done.rejected, done.invalid, done.settled) == (4, 1, 2, 7)
    assert (alone.accepted, alone.invalid) == (2, 1)
    got = {entry["token"]: entry["payload"] for entry in emulator.received()}
    assert got[tokens(1)[0]] == {"aps": {"alert": "shared"}}
    assert got[tokens(2)[1]] == {"aps": {"alert": "own"}}
    assert got["one"]["message"]["data"] == {"n": "1"}
    assert got["two"]["message"]["data"] == {"n": "2"}
    report = fanouts.store.report()
    assert report["apns"]["default"]["attempts"] == 4
    assert report["gcm"]["default"]["rejected"] == {"UNREGISTERED": 1, "InvalidPush": 1}


def test_a_chunk_that_cannot_be_sent_at_all_ends_with_its_reason(start_worker, fanouts, emulator):
    start_worker(*THREADS)
    id_, _ = fanouts.state.create(Spec("apns", "nope", "Hi"))
    fanouts.publish(id_, 0, tokens(5))
    fanouts.send(id_, 0)
    fanouts.state.source_ended(id_)

    done = fanouts.wait(id_)

    assert (done.not_sent, done.devices) == (5, 5)
    assert done.error.startswith("app 'nope' is not in the apns settings")


def test_a_fanout_that_is_cancelled_leaves_the_rest_unsent(
    start_worker, fanouts, emulator, wait_until
):
    start_worker("-P", "threads", "-c", "2")
    emulator.control("POST", "/faults", {"service": "apns", "delay": 1.0})
    id_ = fanouts.start(tokens(2000))
    wait_until(lambda: fanouts.state.find(id_).accepted >= 100)

    assert fanouts.state.set_state(id_, State.CANCELLED)
    done = fanouts.wait(id_)

    assert done.state is State.CANCELLED
    assert (done.accepted + done.not_sent, done.devices) == (2000, 2000)
    assert done.not_sent > 1000
    assert emulator.control("GET", "/received/count") == {"count": done.accepted}


def test_a_paused_fanout_sends_nothing_until_it_is_resumed(
    start_worker, fanouts, emulator, wait_until
):
    id_ = fanouts.start(tokens(300))
    fanouts.state.set_state(id_, State.PAUSED)
    worker = start_worker(*THREADS)
    wait_until(lambda: worker.log.count(f"fan-out {id_} is paused") >= 3)
    before = emulator.control("GET", "/received/count")

    fanouts.state.set_state(id_, State.RUNNING)

    assert before == {"count": 0}
    assert fanouts.wait(id_).accepted == 300
    assert emulator.control("GET", "/received/count") == {"count": 300}


def test_two_workers_keep_one_rate(start_worker, settings, write_settings, fanouts, emulator):
    settings["apns"]["default"]["rate"] = "1000/s"
    changed = write_settings(settings)
    for _ in range(2):
        start_worker(*THREADS, **changed)

    done = fanouts.wait(fanouts.start(tokens(4000)))

    arrived = sorted(entry["at"] for entry in emulator.received())
    assert done.accepted == len(arrived) == 4000
    assert arrived[-1] - arrived[0] == pytest.approx(3.9, rel=0.15)


def test_a_provider_that_asks_to_wait_is_left_alone_by_all_workers(
    start_worker, settings, write_settings, fanouts, emulator
):
    settings["gcm"]["default"].update(rate="400/s", ramp=0)
    changed = write_settings(settings)
    for _ in range(2):
        start_worker(*THREADS, **changed)
    busy = {"reason": "QUOTA_EXCEEDED", "times": 1, "retry_after": 2}
    emulator.control("PUT", "/tokens/id-200", busy)
    ids = [f"id-{number}" for number in range(800)]

    done = fanouts.wait(fanouts.start(ids, provider="gcm", chunk=20))

    assert (done.accepted, done.retried) == (800, 1)
    received = emulator.received()
    assert len(received) == 801
    asked = next(entry["at"] for entry in received if entry["token"] == "id-200")
    meanwhile = [entry for entry in received if 0.3 < entry["at"] - asked < 1.9]
    assert meanwhile == []
    assert [entry for entry in received if entry["at"] < asked]
    assert [entry for entry in received if entry["at"] > asked + 2]


def test_lists_keep_the_rate_and_heed_a_provider_that_asks_to_wait(
    start_worker, settings, write_settings, tasks, host, wait_until, emulator
):
    settings["apns"]["default"]["rate"] = "100/s"
    start_worker(*THREADS, **write_settings(settings))
    [first] = busy = tokens(1, start=1000)
    script = {"reason": "TooManyProviderTokenUpdates", "times": 1, "retry_after": 2}

    lists = [tasks.send_apns_many.delay(tokens(50, start), "Hi") for start in (0, 50, 100)]
    accepted = [sent.get(TIMEOUT)["accepted"] for sent in lists]
    at_rate = sorted(entry["at"] for entry in emulator.received())
    emulator.control("PUT", f"/tokens/{first}", script)
    lists = [tasks.send_apns_many.delay(busy, "Hi")]
    wait_until(lambda: current_store(host).health([("apns", "default")])[0].pause)
    lists += [tasks.send_apns_many.delay(tokens(50, 200), "Hi")]
    accepted += [sent.get(TIMEOUT)["accepted"] for sent in lists]

    assert accepted == [50, 50, 50, 1, 50]
    assert at_rate[-1] - at_rate[0] == pytest.approx(1.0, rel=0.3)
    asked, *after = [entry["at"] for entry in emulator.received()[150:]]
    assert min(after) - asked >= 1.9


def test_a_chunk_that_was_cut_off_sends_only_what_was_not_noted(
    start_worker, fanouts, emulator, wait_until
):
    patience = {"PUSHTASKS_VISIBILITY_TIMEOUT": "2"}
    worker = start_worker("-P", "threads", "-c", "1", **patience)
    one_by_one = {"service": "apns", "max_streams": 1, "delay": 0.02}
    emulator.control("POST", "/faults", one_by_one)
    id_ = fanouts.start(tokens(100))
    wait_until(lambda: fanouts.state.find(id_).accepted >= 40)

    worker.kill()
    killed = time.monotonic()
    noted = fanouts.state.find(id_).accepted
    wait_until(lambda: time.monotonic() > killed + 2.2)
    start_worker("-P", "threads", "-c", "1", **patience)
    done = fanouts.wait(id_)

    received = [entry["token"] for entry in emulator.received()]
    assert (done.accepted, done.devices, len(set(received))) == (100, 100, 100)
    assert done.repeated == 100 - noted
    # One in flight, and what was accepted since the last note.
    assert len(received) - 100 <= 10


@pytest.mark.parametrize("seed", [1, 2])
def test_workers_that_are_killed_lose_no_device_and_repeat_only_what_was_in_flight(
    seed, start_worker, fanouts, emulator, wait_until
):
    chance = random.Random(seed)  # noqa: S311
    patience = {"PUSHTASKS_VISIBILITY_TIMEOUT": "2"}
    emulator.control("POST", "/faults", {"service": "apns", "delay": 0.15})
    devices = tokens(3000)
    id_ = fanouts.start(devices)
    for accepted in sorted(chance.sample(range(100, 2500), 2)):
        worker = start_worker("-P", "threads", "-c", "4", **patience)
        wait_until(lambda least=accepted: fanouts.state.find(id_).accepted >= least)
        worker.kill()
        killed = time.monotonic()
        wait_until(lambda since=killed: time.monotonic() > since + 2.2)
    start_worker("-P", "threads", "-c", "4", **patience)

    done = fanouts.wait(id_)

    received = [entry["token"] for entry in emulator.received()]
    assert set(received) == set(devices)
    assert (done.accepted, done.devices, done.chunks_done) == (3000, 3000, 30)
    assert len(received) - 3000 <= done.repeated <= 2 * 4 * 100
    assert fanouts.store.report()["apns"]["default"]["accepted"] == 3000
