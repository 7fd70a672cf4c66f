"""A worker collects garbage seldom; nobody else is touched, cycles included."""

import gc
import subprocess
import sys
from types import SimpleNamespace

import pytest
from celery import Celery, signals

from pushtasks import celery, garbage

COLLECTED = """
import gc, weakref
from pushtasks.garbage import THRESHOLD, collect_seldom

class Cycle:
    pass

collect_seldom()
assert gc.isenabled() and gc.get_freeze_count() > 1000
assert gc.get_threshold() == (THRESHOLD, 10, 10)
cycle = Cycle()
cycle.itself, gone = cycle, weakref.ref(cycle)
del cycle
kept = [[] for _ in range(2 * THRESHOLD)]
assert gone() is None
"""


def test_cycles_are_found_all_the_same():
    subprocess.run([sys.executable, "-c", COLLECTED], check=True)  # noqa: S603


@pytest.mark.parametrize("signal", [signals.worker_init, signals.worker_ready])
def test_only_a_worker_of_the_ready_made_app_does_so(monkeypatch, signal):
    called = []
    monkeypatch.setattr(celery, "collect_seldom", lambda: called.append(1))
    for app in (Celery("other", set_as_current=False), celery.app):
        celery.collect_garbage_seldom(SimpleNamespace(app=app))
    assert called == [1]
    assert celery.collect_garbage_seldom in [found() for _, found in signal.receivers]


def test_to_import_it_changes_nothing():
    assert gc.get_threshold()[0] != garbage.THRESHOLD
