"""Fan-outs with a real broker, and workers that settle chunks without sending anything."""

import base64
import json
import threading
import time

import pytest
from celery import Celery
from redis import Redis

import pushtasks.tasks  # noqa: F401, every Celery app gets them
from pushtasks.store import current_store
from pushtasks.store.chunks import Note, Places
from pushtasks.store.rates import Limit

QUEUE = "push.bulk"


class Workers:
    """Take chunks from the broker; each is settled once it is let go."""

    def __init__(self, url, store):
        self.chunks = []
        self.most_waiting = 0
        self._redis = Redis.from_url(url)
        self._store = store
        self._thread = threading.Thread(target=self._run)
        self._ends = threading.Event()
        self._permits = threading.Semaphore(0)

    def start(self):
        self._thread.start()

    def stop(self):
        self._ends.set()
        self._thread.join()
        self._redis.close()

    def let(self, count):
        """Let so many chunks be settled."""
        self._permits.release(count)

    @property
    def devices(self):
        return [entry for chunk in self.chunks for entry in chunk["entries"]]

    def _run(self):
        while not self._ends.is_set():
            if not self._permits.acquire(timeout=0.02):
                continue
            while not (taken := self.take()) and not self._ends.is_set():
                time.sleep(0.005)
            if taken:
                self.settle(taken)

    def waiting(self):
        return self._redis.llen(QUEUE)

    def take(self):
        """Take the oldest chunk, as its task's arguments; None if there is none."""
        self.most_waiting = max(self.most_waiting, self.waiting())
        message = self._redis.rpop(QUEUE)
        if message is None:
            return None
        body = base64.b64decode(json.loads(message)["body"])
        [_, arguments, _] = json.loads(body)
        work = self._store.chunks.work(arguments["fanout"], arguments["chunk"])
        if work is None:  # done
            return None
        self.chunks.append({**arguments, "entries": work.entries, "lines": work.lines})
        return self.chunks[-1]

    def settle(self, arguments):
        size = len(arguments["entries"])
        places = Places.of(size, range(size))
        note = Note(
            arguments["fanout"],
            arguments["chunk"],
            size,
            Limit("apns", "default"),
            alike=places,
            alike_as="accepted",
            is_over=True,
        )
        self._store.chunks.note(note)


@pytest.fixture
def host(redis_server):
    """The Celery app of whoever starts a fan-out."""
    redis_server.flush()
    app = Celery("host", broker=redis_server.url(0), set_as_current=False)
    app.conf.pushtasks = {}
    yield app
    app.close()


@pytest.fixture
def fanouts(host):
    return current_store(host).fanouts


@pytest.fixture
def workers(host, redis_server):
    """Workers that wait to be let go."""
    workers = Workers(redis_server.url(0), current_store(host))
    workers.start()
    yield workers
    workers.stop()


@pytest.fixture
def eager_workers(workers):
    """Workers that settle whatever comes."""
    workers.let(10_000)
    return workers


@pytest.fixture
def aside():
    """(function, arguments) → it runs in a thread; ask the returned object for its `result()`."""
    running = []

    class Aside:
        def __init__(self, function, arguments, options):
            self.value = self.error = None
            self.thread = threading.Thread(target=self._run, args=(function, arguments, options))
            self.thread.start()

        def _run(self, function, arguments, options):
            try:
                self.value = function(*arguments, **options)
            except Exception as error:  # noqa: BLE001
                self.error = error

        def result(self, timeout=20):
            self.thread.join(timeout)
            assert not self.thread.is_alive()
            if self.error:
                raise self.error
            return self.value

    def begin(function, *arguments, **options):
        running.append(Aside(function, arguments, options))
        return running[-1]

    yield begin
    for one in running:
        one.thread.join(20)


def wait_until(condition, timeout=10.0):
    """Ask again and again, since what happens elsewhere tells nobody."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture(name="wait_until")
def wait_until_fixture():
    return wait_until
