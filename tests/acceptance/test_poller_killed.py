"""A poller that is killed while it reads the feedback service: what is lost, and what is not.

The service takes off its list what it hands to its kernel. What is under way when the reader dies
is lost whatever the reader does, since the protocol has no acknowledgement; all that a reader can
do is to keep it little.
"""

import json
import random
import subprocess
import sys

import pytest
import redis

from pushtasks.apns.feedback_service import CHUNK, RECEIVE_BUFFER
from pushtasks.emulator.feedback import BATCH
from pushtasks.emulator.listeners import FEEDBACK_BUFFER
from pushtasks.feedback.leases import LEASE

pytestmark = pytest.mark.acceptance

RECORDS = 5000
KILLS = 10
#: Bytes of a record: header and device token.
SIZE = 6 + 32
#: Bytes that can be under way: a chunk that is read and not stored; a TLS record of which a part is
#: read, which holds one batch; our kernel's buffer and the service's, each of which Linux doubles;
#: and a batch that the service could not hand to its kernel in one piece.
UNDER_WAY = CHUNK + BATCH * SIZE + 2 * RECEIVE_BUFFER + 2 * FEEDBACK_BUFFER + BATCH * SIZE
LOCK = "pushtasks:lock:poll:apns:classic"

#: Polls once told to, and prints the records of each piece once the store has acknowledged them.
POLLER = """
import json, sys
from celery import Celery
from pushtasks.feedback import polling

record = polling.record

def acknowledged(app, store, news):
    record(app, store, news)
    print(json.dumps([one.token for one in news]), flush=True)

polling.record = acknowledged
app = Celery("poller", broker="memory://", set_as_current=True)
print("ready", flush=True)
sys.stdin.readline()
[found] = [one for one in polling.poll(app, "classic") if one.source == polling.SERVICE]
assert found.error is None, found.error
"""


@pytest.fixture
def stream(redis_server):
    """The Redis that the pollers write to."""
    with redis.Redis(port=redis_server.port, db=1, decode_responses=True) as client:
        yield client


@pytest.fixture
def start_poller(environ, redis_server, tmp_path):
    """() → a poller that is ready to begin."""
    started = []

    def start():
        poller = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", POLLER],
            cwd=tmp_path,
            env={**environ, "PUSHTASKS_REDIS_URL": redis_server.url(1)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(poller)
        return poller

    yield start
    for poller in started:
        poller.kill()
        poller.communicate(timeout=10)


def begin(poller):
    assert poller.stdout.readline() == "ready\n"
    poller.stdin.write("\n")
    poller.stdin.flush()


def acknowledged(poller, enough=RECORDS):
    """Return the records that a poller has stored, and whether they were enough."""
    tokens = []
    while len(tokens) < enough and (line := poller.stdout.readline()):
        tokens += json.loads(line)
    return tokens


def stored(stream):
    """Return the tokens in the stream, in its order."""
    return [
        json.loads(fields["news"])["token"] for _, fields in stream.xrange("pushtasks:feedback")
    ]


def test_a_killed_poller_loses_no_more_than_was_under_way(
    emulator, stream, start_poller, wait_until, report
):
    chance = random.Random(20140513)  # noqa: S311
    pollers = [start_poller()]
    losses = []
    with report("feedback poller killed ten times", KILLS * RECORDS) as figures:
        for number in range(KILLS):
            pollers.append(start_poller())  # which gets ready meanwhile
            tokens = [f"{number:032x}{n:032x}" for n in range(RECORDS)]
            records = [{"token": token, "timestamp": 1_400_000_000} for token in tokens]
            emulator.control("POST", "/feedback", records)
            stream.delete("pushtasks:feedback", LOCK)
            begin(pollers[number])

            told = acknowledged(pollers[number], enough=chance.randrange(1, RECORDS - 1000))
            pollers[number].kill()
            told += acknowledged(pollers[number])  # what it had still written
            wait_until(
                lambda: emulator.control("GET", "/stats")["feedback"]["connections_open"] == 0
            )

            left, kept = emulator.control("GET", "/feedback")["count"], stored(stream)
            assert kept == tokens[: len(kept)]
            assert told == kept[: len(told)]
            assert 0 < stream.pttl(LOCK) <= LEASE * 1000
            losses.append(RECORDS - len(kept) - left)

            stream.delete(LOCK)  # as its time limit would
            if number < KILLS - 1:
                emulator.control("DELETE", "/feedback")
        figures["lost"] = f"{losses} of {RECORDS} each, at most {UNDER_WAY // SIZE + 1} possible"

    begin(pollers[KILLS])
    assert acknowledged(pollers[KILLS]) == tokens[RECORDS - left :]
    assert pollers[KILLS].wait(10) == 0
    assert stored(stream) == kept + tokens[RECORDS - left :]
    assert all(0 <= loss <= UNDER_WAY // SIZE + 1 for loss in losses), losses
