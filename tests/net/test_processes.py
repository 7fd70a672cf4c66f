"""Forks, greenlets and many open files: each in a process of its own."""

import json
import subprocess
import sys
import textwrap

import pytest

PRELUDE = """
import json, sys
from pushtasks.net.http import Request, Response
from pushtasks.net.multiplexer import Multiplexer
from pushtasks.net.origin import Origin

url, ca_file, headers = json.loads(sys.argv[1])
origin = Origin(url, ca_file=ca_file, streams=1000)

def push(number):
    return Request(f"/3/device/{number:064x}", b'{"aps":{"alert":"Hi"}}', tuple(headers))

def send(multiplexer, first, count):
    answers = multiplexer.exchange(origin, [push(first + n) for n in range(count)], 10)
    assert answers == [Response(200)] * count, answers
"""


@pytest.fixture
def run(apns, tmp_path):
    """Run a program that has `origin`, `push` and `send`, and return what it prints."""

    def run_program(text, before=""):
        program = tmp_path / "program.py"
        program.write_text(before + PRELUDE + textwrap.dedent(text))
        arguments = json.dumps([apns.url, apns.ca_file, apns.headers])
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-X", "dev", str(program), arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    return run_program


def test_after_a_fork_parent_and_child_each_have_their_own(apns, run):
    run("""
        import os
        multiplexer = Multiplexer()
        send(multiplexer, 0, 100)
        children = []
        for child in (1, 2):
            pid = os.fork()
            if pid == 0:
                inherited = multiplexer
                multiplexer = Multiplexer()
                send(multiplexer, 100 * child, 100)
                multiplexer.close()
                os._exit(0)
            children.append(pid)
            send(multiplexer, 1000 * child, 100)
        for pid in children:
            assert os.waitpid(pid, 0)[1] == 0
        send(multiplexer, 5000, 100)
        assert multiplexer.connections(origin) == 1
        multiplexer.close()
    """)
    numbers = [*range(300), *range(1000, 1100), *range(2000, 2100), *range(5000, 5100)]
    assert apns.devices() == dict.fromkeys(numbers, 1)
    assert apns.stats["connections_opened"] == 3


def test_greenlets_send_side_by_side_and_hold_up_no_other(apns, run):
    apns.fault(delay=0.06)
    before = "from gevent import monkey; monkey.patch_all()\n"
    wall, ticks, longest = run(
        """
        import time
        import gevent

        multiplexer = Multiplexer()
        send(multiplexer, 1000, 1)
        ticks = []

        def tick():
            while True:
                ticks.append(time.monotonic())
                gevent.sleep(0.005)

        ticker = gevent.spawn(tick)
        began = time.monotonic()
        greenlets = [gevent.spawn(send, multiplexer, number, 1) for number in range(100)]
        gevent.joinall(greenlets, raise_error=True)
        wall = time.monotonic() - began
        ticker.kill()
        multiplexer.close()
        print(wall, len(ticks), max(b - a for a, b in zip(ticks, ticks[1:])))
        """,
        before,
    ).split()
    assert apns.devices() == dict.fromkeys([*range(100), 1000], 1)
    assert float(wall) < 1.0  # one after the other, they would take six seconds
    assert int(ticks) >= 5
    assert float(longest) < 0.2
    assert apns.stats["most_in_flight"] >= 50


def test_descriptors_beyond_those_of_select(apns, run):
    run("""
        import os, resource
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, 4096), limit))
        held = [os.open("/dev/null", os.O_RDONLY) for _ in range(1500)]
        multiplexer = Multiplexer()
        assert multiplexer._ear.fileno() > 1024
        send(multiplexer, 0, 300)
        multiplexer.close()
        for descriptor in held:
            os.close(descriptor)
    """)
    assert apns.devices() == dict.fromkeys(range(300), 1)


def test_a_process_that_ends_without_closing_ends_at_once(apns, run):
    run("""
        multiplexer = Multiplexer()
        send(multiplexer, 0, 10)
        multiplexer.submit(origin, [push(11)], 10)
    """)
