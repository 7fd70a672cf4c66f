"""Whatever goes wrong at a gateway, each push is accounted for, by what the gateway received.

Faults and pushes are random and the same in each run; what meets what is up to the threads.
"""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait

from pushtasks.apns.gateway import GatewayClient
from pushtasks.apns.notification import notification
from pushtasks.config import load_settings

ROUNDS = 6
#: What can go wrong in a round, up to three at a time.
FAULTS = (
    {"delay": 0.03, "times": 5},
    {"delay": 0.2, "times": 2},
    {"reset_after": 1, "times": 2},
    {"reset_after": 20, "times": 1},
    {"close_after": 15, "times": 1},
    {"shutdown_every": 17, "times": 3},
)
#: After it, nobody can know what was thrown away of what silence had accepted.
NAMELESS = {"identifier_zero": True, "times": 1}


def token(number):
    return f"{number:064x}"


class Traffic:
    """Pushes to numbered devices, and what their callers were told."""

    def __init__(self, emulator, seed, **settings):
        environ = {"PUSHTASKS_CONFIG": str(emulator.directory / "pushtasks.toml")}
        values = {"apns": {"classic": {"timeout": 3.0, **settings}}}
        app = load_settings(values, environ=environ).apns_app("classic")
        self.emulator = emulator
        self.random = random.Random(seed)  # noqa: S311
        self.late = []
        self.client = GatewayClient(app, "production", lambda *one: self.late.append(one[:2]))
        self.common = notification("Hi", topic=None)
        self.lock = threading.Lock()
        self.count = 0
        self.bad = set()
        self.told = {}

    def break_something(self, faults):
        self.emulator.control("DELETE", "/faults")
        for fault in self.random.sample(faults, self.random.randint(0, 3)):
            self.emulator.control("POST", "/faults", {"service": "gateway", **fault})

    def next_numbers(self, size):
        numbers = range(self.count, self.count + size)
        self.count += size
        for number in numbers:
            if self.random.random() < 0.02:
                self.bad.add(number)
                self.emulator.control("PUT", f"/tokens/{token(number)}", {"reason": "InvalidToken"})
        return numbers

    def send(self, numbers):
        frames = [self.client.push(token(number), self.common, "unused") for number in numbers]
        verdicts = self.client.send(frames, is_list=len(frames) > 1)
        with self.lock:
            self.told.update(zip(numbers, verdicts, strict=True))

    def run(self, faults, sizes):
        with ThreadPoolExecutor(12) as threads:
            for _ in range(ROUNDS):
                self.break_something(faults)
                lists = [
                    self.next_numbers(self.random.choice(sizes))
                    for _ in range(self.random.randint(3, 15))
                ]
                sent = [threads.submit(self.send, one) for one in lists]
                assert not wait(sent, 30).not_done
        self.emulator.control("DELETE", "/faults")
        self.client.close(5.0)

    def accounts(self):
        """Return (what the caller was told, how often accepted, and late) → so many devices."""
        entries = [entry for entry in self.emulator.received() if entry["token"]]
        accepted = Counter(int(e["token"], 16) for e in entries if e["answer"]["reason"] is None)
        late = {int(device, 16): verdict for device, verdict in self.late}
        assert len(late) == len(self.late)
        return Counter(
            (kind(verdict), accepted[number], kind(late.get(number)), number in self.bad)
            for number, verdict in self.told.items()
        )


def kind(verdict):
    if verdict is None:
        return None
    if verdict.status is not None:
        return verdict.reason or "accepted"
    return "maybe sent" if verdict.maybe_sent else "not sent"


#: What may be told of a device, how often a push for it was accepted, what came late, and whether
#: its token is bad.
ACCOUNTED = {
    ("accepted", 1, None, False),
    ("accepted", 0, "InvalidToken", True),
    ("InvalidToken", 0, None, True),
    # What was thrown away late, sent again and met another fault.
    *(
        ("accepted", n, "maybe sent", bad)
        for n in (0, 1)
        for bad in (False, True)
        if not (n and bad)
    ),
    *(("maybe sent", n, None, bad) for n in (0, 1) for bad in (False, True) if not (n and bad)),
    ("not sent", 0, None, False),
    ("not sent", 0, None, True),
}


def test_under_silence_each_push_is_accepted_refused_late_or_said_to_be_open(emulator):
    traffic = Traffic(emulator, 1, assume_sent=0.05)

    traffic.run(FAULTS, [1, 1, 1, 5, 40, 200])

    accounts = traffic.accounts()
    assert accounts.total() == traffic.count
    assert set(accounts) <= ACCOUNTED
    assert accounts["accepted", 1, None, False] > traffic.count / 4


def test_under_sentinels_nothing_comes_late(emulator):
    traffic = Traffic(emulator, 3, assume_sent=60.0, confirm="sentinel")

    traffic.run([*FAULTS, NAMELESS], [5, 40, 200])

    accounts = traffic.accounts()
    assert accounts.total() == traffic.count
    assert set(accounts) <= {one for one in ACCOUNTED if one[2] is None}
    assert accounts["accepted", 1, None, False] > traffic.count / 4
