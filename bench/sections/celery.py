"""Through Celery, from a broker's queue to the answer: single pushes in each pool, and long lists.

The yardstick of single pushes is a task that does nothing; that of lists is libcurl without Celery.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sinks import PLAIN, Behaviour
from suite.brokers import brokers, redis
from suite.contract import TOPIC, Load, Measured, Sink, arguments, trust
from suite.peers import AIOAPNS, BARE, FIREBASE, OURS, Prepared
from suite.rounds import Case
from suite.toolchains import Missing
from suite.workers import Work, Worker, worker

from sections import LEAST, Setting, client_case

NOTHING = "a task that does nothing"
WAITING = "a task that sleeps for 60 ms"
#: Seconds until the far sink answers.
DELAY = 0.06
FAR = Behaviour(delay=DELAY)
#: Devices of a list.
LIST = 1000
#: Lists of a run at the least.
LISTS = 20
#: One single push for so many pushes of a client.
SHARE = 40
#: Seconds for which a pool waits that waits for one answer after the other.
PATIENCE = 3.0
TEXT = "x" * 90

Contenders = dict[str, Callable[[], Measured]]


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of Celery's and how many tasks it runs at a time."""

    name: str
    concurrency: int

    @property
    def options(self) -> list[str]:
        """As on the command line."""
        return ["-P", self.name, "-c", str(self.concurrency)]

    def __str__(self) -> str:
        return f"{self.name} {self.concurrency}"


THREADS = Pool("threads", 64)
POOLS = (THREADS, Pool("prefork", 2), Pool("gevent", 100), Pool("solo", 1))


@contextmanager
def cases(setting: Setting, prepared: Prepared) -> Iterator[list[Case]]:
    """Yield a case for each broker and pool, and those of lists."""
    with ExitStack() as stack:
        sinks = stack.enter_context(setting.sinks(setting.directory, [PLAIN, FAR]))
        environment = worker_environment(setting.directory, sinks)
        redis_url = stack.enter_context(redis())
        singles = max(LEAST, setting.pushes // SHARE)

        def start(broker_url: str, pool: Pool) -> Worker:
            made = worker(setting.directory, broker_url, redis_url, pool.options, environment)
            return stack.enter_context(made)

        made: list[Case] = []
        for broker, url in brokers(stack, setting.directory, redis_url):
            if isinstance(url, Missing):
                made.append(Case(f"{broker}, {THREADS}", {}, NOTHING, {OURS: str(url)}))
                continue
            workers = {pool: start(url, pool) for pool in POOLS}
            made += [_singles(f"{broker}, {it}", workers[it], it, singles) for it in POOLS]
            made += _lists(broker, setting, prepared, workers[THREADS], sinks)
        yield made


def worker_environment(directory: Path, sinks: Mapping[Behaviour, Sink]) -> dict[str, str]:
    """Return variables by which a worker's tasks find the sinks as the apps `near` and `far`."""
    apps = {"near": sinks[PLAIN], "far": sinks[FAR]} if FAR in sinks else {"near": sinks[PLAIN]}
    path = directory / "pushtasks.toml"
    path.write_text("".join(_tables(name, sink) for name, sink in apps.items()))
    told = {
        f"BENCH_{name.upper()}": json.dumps(arguments(sink, Load(1))) for name, sink in apps.items()
    }
    return {"PUSHTASKS_CONFIG": str(path), **told, **trust(sinks[PLAIN])}


def lists(first: int, count: int, app: str) -> Work:
    """Return the sending of lists to devices from a number on."""
    calls = [
        (([f"{first + LIST * n + m:064x}" for m in range(LIST)], TEXT), {"app": app})
        for n in range(count)
    ]
    return Work("pushtasks.send_apns_many", calls, LIST, begin=0.0, end=1.0)


def _tables(name: str, sink: Sink) -> str:
    apns = {
        "topic": TOPIC,
        "key": str(sink.key_file),
        "key_id": sink.key_id,
        "team_id": sink.team_id,
        "server": sink.url,
        "ca_file": str(sink.ca_file),
    }
    gcm = {
        "credentials": str(sink.service_account),
        "server": sink.fcm_url,
        "ca_file": str(sink.ca_file),
    }
    return _table(f"apns.{name}", apns) + _table(f"gcm.{name}", gcm)


def _table(name: str, values: Mapping[str, str]) -> str:
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    return f"[{name}]\n{''.join(lines)}\n"


def _singles(name: str, one: Worker, pool: Pool, count: int) -> Case:
    at_sixty = min(count, max(LEAST // 2, int(PATIENCE * pool.concurrency / DELAY)))
    contenders: Contenders = {
        NOTHING: _contender(one, "bench.nothing", count),
        f"{OURS}, 0 ms": _contender(one, "pushtasks.send_apns", count, app="near"),
        f"{OURS}, 60 ms": _contender(one, "pushtasks.send_apns", at_sixty, app="far"),
    }
    if pool is THREADS:
        contenders |= {
            WAITING: _contender(one, "bench.waiting", at_sixty, seconds=DELAY),
            f"{AIOAPNS}, 60 ms": _contender(one, "bench.aioapns", at_sixty, app="far"),
            f"{OURS} FCM, 60 ms": _contender(one, "pushtasks.send_gcm", at_sixty, app="far"),
            f"{FIREBASE}, 60 ms": _contender(one, "bench.firebase_admin", at_sixty, app="far"),
        }
    return Case(name, contenders, NOTHING)


def _contender(one: Worker, task: str, count: int, **named: str | float) -> Callable[[], Measured]:
    calls = [((f"{number:064x}", TEXT), named) for number in range(count)]
    return partial(one.measure, Work(task, calls))


def _lists(
    broker: str,
    setting: Setting,
    prepared: Prepared,
    one: Worker,
    sinks: Mapping[Behaviour, Sink],
) -> list[Case]:
    """Return cases that compare a worker with clients on their own, by lists."""
    count = max(LISTS, setting.pushes // LIST)
    made = []
    for app, behaviour, in_flight in (("near", PLAIN, 100), ("far", FAR, 1000)):
        load = Load(count * LIST, in_flight=in_flight)
        name = f"{broker}, lists of 1,000, {behaviour.delay * 1000:.0f} ms"
        alone = client_case(name, prepared, sinks[behaviour], load, BARE)
        through = {f"{OURS} through Celery": partial(one.measure, lists(0, count, app))}
        made.append(Case(name, {**alone.contenders, **through}, BARE, alone.missing))
    return made
