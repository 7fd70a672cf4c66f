"""The limit of requests."""

import threading
import time

import pytest

from pushtasks.adapters.http import rates
from pushtasks.adapters.http.rates import Limiter


def passed(limiter, caller, count):
    return sum(limiter.wait_for(caller) == 0 for _ in range(count))


def test_as_many_pass_at_once_as_in_a_second():
    limiter = Limiter(5)

    assert passed(limiter, "a", 20) == 5
    assert 0 < limiter.wait_for("a") <= 0.2


def test_who_waits_as_told_passes():
    limiter = Limiter(50)
    passed(limiter, "a", 60)

    time.sleep(limiter.wait_for("a"))

    assert limiter.wait_for("a") == 0


@pytest.mark.parametrize("rate", [0.5, 1])
def test_a_slow_rate_lets_one_pass(rate):
    limiter = Limiter(rate)

    assert passed(limiter, "a", 3) == 1
    assert limiter.wait_for("a") == pytest.approx(1 / rate, abs=0.05)


def test_callers_do_not_stand_in_each_others_way():
    limiter = Limiter(1)
    passed(limiter, "a", 10)

    assert passed(limiter, "b", 1) == 1


def test_without_a_limit_all_pass():
    assert passed(Limiter(0), "a", 1000) == 1000


def test_the_longest_away_are_forgotten_so_that_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(rates, "CALLERS", 100)
    limiter = Limiter(1)

    for number in range(250):
        limiter.wait_for(f"caller {number}")

    assert len(limiter._full_at) == 100
    assert limiter.wait_for("caller 249") > 0
    assert limiter.wait_for("caller 0") == 0


def test_threads_share_one_bucket():
    limiter, counts = Limiter(40), []
    threads = [
        threading.Thread(target=lambda: counts.append(passed(limiter, "a", 100))) for _ in range(8)
    ]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 40 <= sum(counts) <= 41 + 40 * (time.monotonic() - started)
