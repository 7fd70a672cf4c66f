"""Chunks of fan-outs through real workers: each device once in the totals, whoever is killed."""

import random
import time

import pytest
import redis

from pushtasks.store import current_store
from pushtasks.store.fanout_state import Spec, State
from pushtasks.store.rates import Limit

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
            self.send(id_, number, some, lines=first)
            self.state.published(id_, number, len(some), first + len(some))
        self.state.source_ended(id_)
        return id_

    def send(self, id_, number, entries, **more):
        task = self._host.tasks["pushtasks.send_chunk"]
        return task.delay(id_, number, entries, **more)

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
