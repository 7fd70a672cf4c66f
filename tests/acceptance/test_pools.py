"""Every pool of Celery: all pushes arrive, each once, over the connections that were allowed.

As many results as pushes, and as many received as sent: so each was received exactly once.
"""

import os
import uuid

import pytest
from redis import Redis

TIMEOUT = 240
DEVICES = 20_000
SLICE = 1000
#: Seconds that the provider takes for an answer.
DELAY = 0.06

#: Pools that wait for one answer after the other take minutes for 2,000: more in CI only.
PATIENT = "CI" in os.environ
POOLS = [
    pytest.param("prefork", 2, 1000 if PATIENT else 500, id="prefork"),
    pytest.param("threads", 64, 2000, id="threads"),
    pytest.param("gevent", 100, 2000, id="gevent"),
    pytest.param("solo", 1, 500 if PATIENT else 250, id="solo"),
]


def tokens(count):
    """Return device tokens that no other test has seen."""
    start = uuid.uuid4().int
    return [f"{(start + n) % 2**128:064x}" for n in range(count)]


def join(results):
    """Wait for results in one go."""
    return [result.get(TIMEOUT) for result in results]


@pytest.mark.acceptance
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("pool", "concurrency", "singles"), POOLS)
def test_a_worker_sends_every_push_once(
    pool, concurrency, singles, start_worker, tasks, emulator, report
):
    processes = concurrency if pool == "prefork" else 1
    start_worker("-P", pool, "-c", str(concurrency))
    emulator.control("POST", "/faults", {"delay": DELAY})

    with report(f"{pool} {concurrency}, {singles} singles", singles) as line:
        results = join([tasks.send_apns.delay(token, "Hi") for token in tokens(singles)])
        stats = emulator.control("GET", "/stats")["apns"]
        line["in flight"] = f"{stats['mean_in_flight']:.0f} (most {stats['most_in_flight']})"
        line["connections"] = stats["connections_opened"]

    assert [result["outcome"] for result in results] == ["accepted"] * singles
    assert emulator.control("GET", "/received/count") == {"count": singles}
    assert stats["connections_opened"] <= processes

    devices = tokens(DEVICES)
    slices = [devices[n : n + SLICE] for n in range(0, DEVICES, SLICE)]
    with report(f"{pool} {concurrency}, {DEVICES} in lists of {SLICE}", DEVICES) as line:
        results = join([tasks.send_apns_many.delay(one, "Hi") for one in slices])
        stats = emulator.control("GET", "/stats")["apns"]
        line["most in flight"] = stats["most_in_flight"]

    assert sum(result["accepted"] for result in results) == DEVICES
    assert emulator.control("GET", "/received/count") == {"count": singles + DEVICES}
    assert stats["connections_opened"] <= processes


@pytest.mark.acceptance
def test_greenlets_share_connections_for_their_results(start_worker, tasks, redis_server):
    with Redis.from_url(redis_server.url(1)) as server:
        start_worker("-P", "gevent", "-c", "20")
        join([tasks.send_apns.delay(token, "Hi") for token in tokens(20)])
        before = server.info("stats")["total_connections_received"]
        results = join([tasks.send_apns.delay(token, "Hi") for token in tokens(300)])
        opened = server.info("stats")["total_connections_received"] - before

    assert [result["outcome"] for result in results] == ["accepted"] * 300
    assert opened < 100
