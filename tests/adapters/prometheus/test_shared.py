"""Figures of several processes, in files: real forks, in a process of their own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pushtasks.adapters.prometheus import shared

#: What each script begins with; `fork(work)` runs work in a child that is then gone.
HEAD = """
import os, signal, sys
from pushtasks.adapters.prometheus.shared import SharedFigures
figures = SharedFigures.begin()
from pushtasks.adapters.prometheus.metrics import Metrics
metrics = Metrics(None)

def fork(work, reap=True):
    pid = os.fork()
    if not pid:
        work()
        os.kill(os.getpid(), signal.SIGKILL)
    if reap:
        os.waitpid(pid, 0)
    return pid

def values():
    return {s.name: s.value for m in figures.collect() for s in m.samples}

def push(count=1):
    metrics.pushes.labels("apns", "default", "accepted", "").inc(count)
    metrics.in_flight.labels("apns", "default").inc(count)
    metrics.answers.labels("host:1").observe_many(0.02, count)

directory = figures._directory
"""


@pytest.fixture
def run(tmp_path):
    """(script, variables) → the lines that it prints."""

    def run(script, *, before="", **environ):
        clean = {k: v for k, v in os.environ.items() if k != shared.VARIABLE}
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", before + HEAD + textwrap.dedent(script)],
            env={**clean, "TMPDIR": str(tmp_path), **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


def test_counters_and_histograms_of_dead_processes_are_kept_and_their_gauges_are_not(run):
    printed = run("""
        for count in (3, 4, 5):
            fork(lambda: push(count))
        first, second = values(), values()
        print(first == second)
        print(first["pushtasks_pushes_total"], first["pushtasks_answer_seconds_count"])
        print(round(first["pushtasks_answer_seconds_sum"], 6))
        print("pushtasks_pushes_in_flight" in first)
        print(sorted(file.name for file in directory.glob("*")))
    """)

    assert printed == [
        "True",
        "12.0 12.0",
        "0.24",
        "False",
        "['counter_0.db', 'histogram_0.db']",
    ]


def test_what_the_living_and_the_dead_have_counted_adds_up(run):
    printed = run("""
        fork(lambda: push(3))
        values()
        push(2)
        fork(lambda: push(1))
        print(values()["pushtasks_pushes_total"], values()["pushtasks_pushes_in_flight"])
    """)

    assert printed == ["6.0 2.0"]


def test_the_folder_is_removed_by_the_process_that_made_it_alone(run):
    printed = run("""
        fork(figures.remove)
        print(directory.exists(), oct(directory.stat().st_mode)[-3:])
        figures.remove()
        print(directory.exists())
    """)

    assert printed == ["True 700", "False"]


def test_folders_of_killed_workers_are_removed_by_the_next(run, tmp_path):
    [fallen] = run("push(); print(directory)")  # ends without removing anything
    assert Path(fallen).exists()

    [own] = run("print(directory)")

    assert [str(folder) for folder in tmp_path.glob("pushtasks-metrics-*")] == [own]


def test_a_worker_that_restarts_in_place_begins_anew(run):
    old = Path(run("push(5); print(directory)")[0])

    printed = run("print(values()); print(directory)", **{shared.VARIABLE: str(old)})

    assert printed[0] == "{}"
    assert printed[1] != str(old)


def test_the_folder_of_a_host_is_used_and_left_alone(run, tmp_path):
    theirs = tmp_path / "theirs"
    printed = run(
        """
        fork(lambda: push(3))
        print(values()["pushtasks_pushes_total"])
        figures.remove()
        print(directory, any(directory.glob("counter_*")))
        """,
        **{shared.VARIABLE: str(theirs)},
    )

    assert printed == ["3.0", f"{theirs} True"]


def test_a_host_may_have_imported_prometheus_before(run):
    printed = run(
        """
        fork(lambda: push(3))
        print(values()["pushtasks_pushes_total"])
        """,
        before="import prometheus_client",
    )

    assert printed == ["3.0"]


@pytest.mark.parametrize(
    ("pid", "is_alive"),
    [(os.getpid(), True), (1, True), (2**22 + 1, False)],
    ids=["own", "init", "none"],  # alike in all processes that run tests
)
def test_whether_a_process_lives_is_asked_of_the_kernel(pid, is_alive):
    assert shared._is_alive(pid) is is_alive
