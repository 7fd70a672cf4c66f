"""A pool of connections to a gateway that confirms by silence: every fault happens at the far end.

An item here is a number, a frame its identifier and the number, four bytes each.
"""

import contextlib
import os
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest
import trustme

from pushtasks.apns.binary import GatewayProtocol
from pushtasks.net import tls
from pushtasks.net.connection import CLOSED, Gateway
from pushtasks.net.deadline import Deadline
from pushtasks.net.pool import Pool
from pushtasks.results import Verdict

FRAME = struct.Struct(">II")
SENTINEL = 2**32 - 1
CONFIRM = FRAME.pack(SENTINEL, 0)
#: Seconds of silence; the far end answers within a hundredth of that.
SILENCE = 0.15
RESET = struct.pack("ii", 1, 0)


class Caller:
    """One connection as the gateway sees it: frames in, an answer out."""

    def __init__(self, connected, number):
        self.socket = connected
        self.number = number

    def frames(self, size=FRAME.size):
        data = b""
        while received := self.socket.recv(4096):
            data += received
            while len(data) >= size:
                yield FRAME.unpack_from(data)
                data = data[size:]

    def answer(self, status, identifier):
        self.socket.sendall(struct.pack(">BBI", 8, status, identifier))

    def drain(self):
        """Throw away what follows until the client hangs up."""
        with contextlib.suppress(OSError):
            while self.socket.recv(4096):
                continue

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()


class FakeGateway:
    """Runs `behave` for each connection; it keeps what it accepted in `accepted`."""

    def __init__(self, context):
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = []
        self.port = self._listener.getsockname()[1]
        self.accepted = []
        self.connections = 0
        self.bad = {}
        self.behave = self.obey
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                self._sockets.append(plain)
                self.connections += 1
                args = (plain, self.connections)
                threading.Thread(target=self._serve, args=args, daemon=True).start()

    def _serve(self, plain, number):
        with contextlib.suppress(OSError):
            connected = self._context.wrap_socket(plain, server_side=True)
            self._sockets.append(connected)
            self.behave(Caller(connected, number))
            connected.close()

    def obey(self, caller):
        """Refuse what is bad, confirm by a sentinel, take the rest."""
        for identifier, item in caller.frames():
            if identifier == SENTINEL:
                return caller.answer(2, SENTINEL), caller.drain()
            if item in self.bad:
                return caller.answer(self.bad[item], identifier), caller.drain()
            self.accepted.append(item)
        return None

    def limit_what_its_kernel_takes(self, size=2048):
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def take_no_more_callers(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone would not wake `accept`
        self._listener.close()

    def close(self):
        self.take_no_more_callers()
        for one in self._sockets:
            one.close()


def sleep(_caller):
    time.sleep(5)


def encode(ticket, identifier):
    return FRAME.pack(identifier, ticket.item)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def gateway(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    made = FakeGateway(context)
    yield made
    made.close()


@pytest.fixture
def make_pool(gateway, authority, tmp_path):
    """(size=1, timeout=5.0, …) → a pool; the function's `late` has what came too late."""
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    client = authority.issue_cert("client.test")
    chain = b"".join(blob.bytes() for blob in client.cert_chain_pems)
    context = tls.client_context(chain, client.private_key_pem.bytes(), str(ca_file))
    pools = []

    def make(
        size=1,
        timeout=5.0,
        idle_age=300.0,
        limit=10_000,
        silence=SILENCE,
        context=context,
        encode=encode,
        sentinel=CONFIRM,
        send_buffer=None,
    ):
        def dial():
            connected = tls.connect("127.0.0.1", gateway.port, context, Deadline(timeout))
            if send_buffer:
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
            return connected

        pools.append(
            Pool(
                Gateway(
                    name="test",
                    dial=dial,
                    protocol=lambda: GatewayProtocol(encode, sentinel, limit),
                    rejected_late=lambda item, verdict: make.tell((item, verdict)),
                    assume_sent=silence,
                    timeout=timeout,
                    idle_age=idle_age,
                ),
                size,
            )
        )
        return pools[-1]

    make.late = []
    make.tell = make.late.append
    make.context = context
    yield make
    for pool in pools:
        pool.close(0)


def reasons(verdicts):
    return [verdict.reason for verdict in verdicts]


def wait_until(condition, timeout=10.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def test_silence_is_acceptance(make_pool, gateway):
    pool = make_pool()

    started = time.monotonic()
    verdicts = pool.exchange([1, 2, 3])

    assert time.monotonic() - started >= SILENCE
    assert [(v.status, v.reason, v.message_id) for v in verdicts] == [
        (0, None, "1"),
        (0, None, "2"),
        (0, None, "3"),
    ]
    assert gateway.accepted == [1, 2, 3]


def test_silence_holds_nobody_up(make_pool, gateway):
    pool = make_pool()
    with ThreadPoolExecutor(40) as threads:
        started = time.monotonic()
        results = list(threads.map(lambda n: pool.exchange([n]), range(200)))

    assert time.monotonic() - started < 200 * SILENCE / 4
    assert reasons([verdict for [verdict] in results]) == [None] * 200
    assert sorted(gateway.accepted) == list(range(200))
    assert gateway.connections == 1


def test_what_follows_a_refused_one_is_sent_again_in_order(make_pool, gateway):
    gateway.bad = {3: 8, 6: 7}
    pool = make_pool()

    verdicts = pool.exchange(list(range(10)))

    expected = [None] * 10
    expected[3], expected[6] = "InvalidToken", "InvalidPayloadSize"
    assert reasons(verdicts) == expected
    assert gateway.accepted == [0, 1, 2, 4, 5, 7, 8, 9]
    assert gateway.connections == 3


def test_many_refused_ones_cost_a_connection_each_and_no_acceptance(make_pool, gateway):
    gateway.bad = dict.fromkeys(range(0, 1000, 20), 8)
    pool = make_pool(2)
    with ThreadPoolExecutor(8) as threads:
        slices = [range(n, n + 125) for n in range(0, 1000, 125)]
        results = list(threads.map(lambda one: pool.exchange(list(one)), slices))

    found = reasons([verdict for verdicts in results for verdict in verdicts])
    assert Counter(found) == {None: 950, "InvalidToken": 50}
    assert sorted(gateway.accepted) == [n for n in range(1000) if n % 20]


def test_a_shutdown_loses_nothing(make_pool, gateway):
    def shut_down(caller):
        if caller.number > 1:
            return gateway.obey(caller)
        for identifier, item in caller.frames():
            gateway.accepted.append(item)
            if item == 4:
                return caller.answer(10, identifier), caller.drain()
        return None

    gateway.behave = shut_down

    assert reasons(make_pool().exchange(list(range(10)))) == [None] * 10
    assert gateway.accepted == list(range(10))


def test_a_refusal_that_comes_late_is_told_and_what_it_cost_is_sent_again(make_pool, gateway):
    pool = make_pool()
    is_ripe = threading.Event()

    def refuse_late(caller):
        if caller.number > 1:
            return gateway.obey(caller)
        frames = caller.frames()
        identifier, _ = next(frames)
        is_ripe.wait(10)
        return caller.answer(8, identifier), caller.drain()

    gateway.behave = refuse_late
    assert reasons(pool.exchange([1])) == [None]
    assert reasons(pool.exchange([2, 3])) == [None, None]
    is_ripe.set()

    wait_until(lambda: len(gateway.accepted) == 2)
    assert gateway.accepted == [2, 3]
    [(item, verdict)] = make_pool.late
    assert (item, verdict.status, verdict.reason) == (1, 8, "InvalidToken")


def test_a_close_without_a_word_leaves_it_open_what_was_taken(make_pool, gateway):
    gateway.behave = lambda caller: next(caller.frames())

    [verdict] = make_pool().exchange([1])

    assert (verdict.status, verdict.maybe_sent) == (None, True)
    assert verdict.reason == "the gateway closed the connection without a word"


def test_a_reset_leaves_it_open_what_was_taken(make_pool, gateway):
    def reset(caller):
        next(caller.frames())
        caller.reset()

    gateway.behave = reset

    [verdict] = make_pool().exchange([1])

    assert (verdict.status, verdict.maybe_sent) == (None, True)
    assert verdict.reason


def test_an_answer_is_read_even_where_the_next_write_fails_first(make_pool, gateway):
    """The answer is on its way, the far end takes nothing more: both reach us at once."""

    def refuse_and_close(caller):
        if caller.number > 1:
            return gateway.obey(caller)
        identifier, _ = next(caller.frames())
        caller.answer(8, identifier)
        return caller.socket.unwrap()

    gateway.behave = refuse_and_close
    pool = make_pool()

    verdicts = pool.exchange([1, 2, 3])

    assert reasons(verdicts) == ["InvalidToken", None, None]
    assert gateway.accepted == [2, 3]


def test_an_answer_in_pieces_is_one_answer(make_pool, gateway):
    def dribble(caller):
        if caller.number > 1:
            return gateway.obey(caller)
        identifier, _ = next(caller.frames())
        for byte in struct.pack(">BBI", 8, 8, identifier):
            caller.socket.sendall(bytes([byte]))
            time.sleep(0.01)
        return caller.drain()

    gateway.behave = dribble

    assert reasons(make_pool().exchange([1, 2])) == ["InvalidToken", None]


def test_a_gateway_that_takes_nothing_is_given_up(make_pool, gateway):
    """It never reads, and its kernel takes little: silence says nothing about the rest."""
    gateway.behave = sleep
    gateway.limit_what_its_kernel_takes()
    pool = make_pool(timeout=0.6, silence=0.3)

    verdicts = pool.exchange(list(range(9000)))

    count = Counter((verdict.status, verdict.maybe_sent) for verdict in verdicts)
    assert count.keys() == {(0, False), (None, True)}
    assert count[None, True] > 5000
    assert verdicts[-1].reason == "the gateway took nothing for 0.6 s"


def test_a_list_is_confirmed_by_a_sentinel_faster_than_silence_would(make_pool, gateway):
    gateway.bad = {5: 8}
    pool = make_pool(silence=30.0)

    verdicts = pool.exchange(list(range(10)), confirm=True)

    assert reasons(verdicts) == [*[None] * 5, "InvalidToken", *[None] * 4]
    assert gateway.accepted == [n for n in range(10) if n != 5]
    assert gateway.connections == 2


def test_what_is_never_confirmed_is_open(make_pool, gateway):
    def ignore(caller):
        for identifier, item in caller.frames():
            if identifier != SENTINEL:
                gateway.accepted.append(item)

    gateway.behave = ignore
    pool = make_pool(timeout=0.3)

    verdicts = pool.exchange([1, 2], confirm=True)

    assert [verdict.maybe_sent for verdict in verdicts] == [True, True]
    assert "confirmed nothing" in verdicts[0].reason


def test_a_record_that_was_too_short_is_said_loudly(make_pool, gateway, caplog):
    pool = make_pool(limit=3)
    is_ripe = threading.Event()

    def refuse_the_first(caller):
        if caller.number > 1:
            return gateway.obey(caller)
        frames = caller.frames()
        identifier, _ = next(frames)
        is_ripe.wait(10)
        return caller.answer(8, identifier), caller.drain()

    gateway.behave = refuse_the_first
    for item in range(6):
        assert reasons(pool.exchange([item])) == [None]
    is_ripe.set()

    wait_until(lambda: len(gateway.accepted) == 3)
    assert gateway.accepted == [3, 4, 5]
    assert "threw away 2 notifications" in caplog.text


def test_a_list_longer_than_the_record_goes_as_the_record_has_room(make_pool, gateway):
    gateway.bad = {30: 8}
    pool = make_pool(limit=7, silence=0.02)

    verdicts = pool.exchange(list(range(50)))

    assert Counter(reasons(verdicts)) == {None: 49, "InvalidToken": 1}
    assert gateway.accepted == [n for n in range(50) if n != 30]


def test_an_idle_connection_is_replaced_before_it_is_used_again(make_pool, gateway):
    pool = make_pool(idle_age=0.05, silence=0.01)
    pool.exchange([1])
    time.sleep(0.1)  # it is idleness itself that is tested
    pool.exchange([2])

    assert gateway.accepted == [1, 2]
    assert gateway.connections == 2


def test_an_unreachable_gateway_is_named_and_nothing_counts_as_sent(make_pool, gateway):
    gateway.close()

    verdicts = make_pool().exchange([1, 2])

    assert [verdict.maybe_sent for verdict in verdicts] == [False, False]
    assert verdicts[0].reason == "test cannot be reached (Connection refused)"


def test_attempts_to_connect_become_rarer(make_pool, gateway):
    gateway.close()
    pool = make_pool(timeout=0.1)
    for _ in range(5):
        pool.exchange([1])

    assert pool._connections[0]._backoff._pause <= 2.0


def test_a_certificate_that_the_gateway_refuses_is_said_and_nothing_counts_as_sent(
    make_pool, authority, tmp_path
):
    stranger = trustme.CA().issue_cert("client.test")
    chain = b"".join(blob.bytes() for blob in stranger.cert_chain_pems)
    ca_file = tmp_path / "trusted.pem"
    authority.cert_pem.write_to_path(ca_file)
    context = tls.client_context(chain, stranger.private_key_pem.bytes(), str(ca_file))

    [verdict] = make_pool(context=context).exchange([1])

    assert verdict.maybe_sent is False
    assert "alert" in verdict.reason.lower()


def test_closing_confirms_what_silence_has_not_yet(make_pool, gateway):
    gateway.bad = {2: 8}
    pool = make_pool(silence=30.0)
    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(pool.exchange, [1, 2, 3])
        wait_until(lambda: gateway.connections == 2)
        pool.close(5.0)

    assert reasons(result.result()) == [None, "InvalidToken", None]
    assert gateway.accepted == [1, 3]


def test_closing_finds_refusals_that_silence_had_hidden(make_pool, gateway):
    """The gateway looks at what it gets only when the client says that it is done."""

    def late(caller):
        frames = list(_until_sentinel(caller))
        [identifier] = [number for number, item in frames if item == 7]
        caller.answer(8, identifier)
        caller.drain()

    pool = make_pool(silence=0.02)
    gateway.behave = late
    assert reasons(pool.exchange([7])) == [None]

    pool.close(5.0)

    assert [(item, verdict.reason) for item, verdict in make_pool.late] == [(7, "InvalidToken")]


def _until_sentinel(caller):
    for identifier, item in caller.frames():
        if identifier == SENTINEL:
            return
        yield identifier, item


def test_a_closed_pool_takes_nothing_more(make_pool):
    pool = make_pool()
    pool.close(1.0)

    [verdict] = pool.exchange([1])

    assert (verdict.maybe_sent, verdict.reason) == (False, CLOSED)


def test_closing_never_takes_longer_than_its_drain(make_pool, gateway):
    gateway.behave = sleep
    pool = make_pool(silence=30.0)
    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(pool.exchange, [1])
        wait_until(lambda: gateway.connections == 1)
        started = time.monotonic()
        pool.close(0.3)

    assert time.monotonic() - started < 2
    [verdict] = result.result()
    assert verdict.reason == CLOSED


def test_the_least_loaded_connection_takes_the_next_items(make_pool, gateway):
    pool = make_pool(2, silence=0.3)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(pool.exchange, ([1] * 10, [2] * 10)))
        assert gateway.connections == 2
        pool.exchange([3])

    assert gateway.connections == 2
    assert len(gateway.accepted) == 21


# What is written, and what nobody has -------------------------------------------------------------


KIBIBYTE = 1024


def padded(ticket, identifier):
    """Return a frame of a kibibyte."""
    return FRAME.pack(identifier, ticket.item).ljust(KIBIBYTE, b"x")


def test_what_the_gateway_may_have_read_never_counts_as_unwritten(make_pool, gateway):
    """The socket takes a part of what is to be written: the gateway reads it, and goes."""
    seen = []

    def read_some(caller):
        items = (item for _, item in caller.frames(KIBIBYTE))
        if caller.number > 1:
            return gateway.accepted.extend(items)
        seen.extend(islice(items, 20))
        return caller.reset()

    gateway.behave = read_some
    gateway.limit_what_its_kernel_takes(9000)
    pool = make_pool(encode=padded, send_buffer=20_000, silence=0.5)

    verdicts = pool.exchange(list(range(256)))

    assert all(verdicts[item].maybe_sent for item in seen)
    assert not set(seen) & set(gateway.accepted)
    assert reasons(verdicts)[-1] is None  # it was never written, and goes over the next connection


def test_an_end_that_was_there_first_costs_nothing(make_pool, gateway):
    """The gateway has closed an idle connection just when the next item comes."""

    def close_at_once(caller):
        if caller.number == 1:
            gateway.accepted.append(next(caller.frames())[1])
            is_done.wait(10)
            return caller.socket.unwrap()
        return gateway.obey(caller)

    is_done = threading.Event()
    gateway.behave = close_at_once
    pool = make_pool(silence=0.02)
    pool.exchange([1])
    [connection] = pool._connections
    turn = connection._turn
    may_turn = threading.Event()

    def turn_later():
        may_turn.wait(10)
        turn()

    connection._turn = turn_later
    is_done.set()
    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(pool.exchange, [2])
        wait_until(lambda: connection._inbox)
        time.sleep(0.05)  # until the end has reached the client's kernel
        may_turn.set()

    assert reasons(result.result()) == [None]
    assert gateway.accepted == [1, 2]


def test_a_gateway_that_hangs_up_on_everybody_lets_nobody_wait_for_ever(make_pool, gateway):
    gateway.behave = Caller.reset
    pool = make_pool(timeout=0.5)

    verdicts = pool.exchange(list(range(50)))

    assert all(verdict.status is None and verdict.reason for verdict in verdicts)


# What was thrown away after it had counted as accepted --------------------------------------------


def refuse_late(gateway, is_ripe, then):
    """Return a gateway that refuses the first item when told to; `then` are the next callers."""

    def behave(caller):
        if caller.number > 1:
            return then(caller)
        identifier, _ = next(caller.frames())
        is_ripe.wait(10)
        return caller.answer(8, identifier), caller.drain()

    return behave


def test_what_cannot_be_sent_again_yet_waits_without_work(make_pool, gateway):
    is_ripe = threading.Event()
    gateway.behave = refuse_late(gateway, is_ripe, gateway.obey)
    pool = make_pool(timeout=0.1, silence=0.02)
    for item in (1, 2, 3):
        pool.exchange([item])
    gateway.take_no_more_callers()
    is_ripe.set()
    wait_until(lambda: make_pool.late)
    wait_until(lambda: pool._connections[0]._backoff.is_paused)
    time.sleep(0.2)  # longer than anybody waits for a connection

    turns = count_turns(pool)
    [verdict] = pool.exchange([4])
    time.sleep(0.3)

    assert verdict.maybe_sent is False
    assert "cannot be reached" in verdict.reason
    assert len(turns) < 20


def count_turns(pool):
    turns = []
    [connection] = pool._connections
    turn = connection._turn
    connection._turn = lambda: (turns.append(1), turn())
    return turns


def test_what_is_sent_again_and_then_open_is_told(make_pool, gateway):
    """It counts as accepted, it was thrown away, and of the second time nothing is known."""
    is_ripe = threading.Event()

    def take_two_and_close(caller):
        if caller.number > 2:
            return gateway.obey(caller)
        frames = caller.frames()
        return next(frames), next(frames)

    gateway.behave = refuse_late(gateway, is_ripe, take_two_and_close)
    pool = make_pool(silence=0.05)
    for item in (1, 2, 3):
        assert reasons(pool.exchange([item])) == [None]
    is_ripe.set()

    wait_until(lambda: len(make_pool.late) == 3)
    assert [(item, verdict.status) for item, verdict in make_pool.late] == [
        (1, 8),
        (2, None),
        (3, None),
    ]
    assert make_pool.late[1][1].reason.startswith("thrown away by the gateway, sent again, and")


def test_a_refusal_of_nobody_says_that_what_counts_as_accepted_may_be_lost(
    make_pool, gateway, caplog
):
    is_ripe = threading.Event()

    def refuse_nobody(caller):
        next(caller.frames())
        is_ripe.wait(10)
        return caller.answer(8, 0), caller.drain()

    gateway.behave = refuse_nobody
    pool = make_pool(silence=0.02)
    assert reasons(pool.exchange([1])) == [None]
    is_ripe.set()

    wait_until(lambda: caplog.messages)
    [line] = caplog.messages
    assert "names notification 0, which is none of ours; of what was written within" in line
    assert "some may have been thrown away" in line


def test_what_is_thrown_away_at_the_end_is_told(make_pool, gateway):
    is_ripe = threading.Event()
    gateway.behave = refuse_late(gateway, is_ripe, gateway.obey)
    pool = make_pool(silence=0.02)
    for item in (1, 2):
        pool.exchange([item])
    gateway.take_no_more_callers()
    is_ripe.set()
    wait_until(lambda: make_pool.late)

    pool.close(0.2)

    assert [item for item, _ in make_pool.late] == [1, 2]
    assert "no time to send it again" in make_pool.late[1][1].reason


def test_a_listener_that_fails_harms_nobody(make_pool, gateway, caplog):
    is_ripe = threading.Event()
    gateway.behave = refuse_late(gateway, is_ripe, gateway.obey)
    make_pool.tell = lambda _: 1 / 0
    pool = make_pool(silence=0.02)
    for item in (1, 2):
        pool.exchange([item])
    is_ripe.set()

    wait_until(lambda: gateway.accepted == [2])
    assert "is not told" in caplog.text
    assert reasons(pool.exchange([3])) == [None]
    assert gateway.connections == 2


# A thread's life ----------------------------------------------------------------------------------


def test_a_thread_that_fails_says_why_and_the_next_item_begins_another(make_pool, gateway, caplog):
    def fail_once(ticket, identifier):
        if ticket.item == 13:
            raise ValueError("unlucky")
        return FRAME.pack(identifier, ticket.item)

    pool = make_pool(encode=fail_once)

    [verdict] = pool.exchange([13])

    assert verdict.reason == "test: ValueError: unlucky"
    assert "The connection to gateway test failed" in caplog.text
    assert reasons(pool.exchange([1])) == [None]


def test_a_pause_after_trouble_is_over_after_a_success(make_pool, gateway):
    def reset_twice(caller):
        if caller.number > 2:
            return gateway.obey(caller)
        next(caller.frames())
        return caller.reset()

    gateway.behave = reset_twice
    pool = make_pool(silence=0.02)
    for item in (1, 2):
        assert pool.exchange([item])[0].maybe_sent
    [connection] = pool._connections

    assert reasons(pool.exchange([3])) == [None]

    wait_until(lambda: connection._backoff._pause == 0.5)


def test_a_connection_is_used_again_after_its_trouble(make_pool, gateway):
    def reset_once(caller):
        if caller.number > 1:
            return gateway.obey(caller)
        next(caller.frames())
        return caller.reset()

    gateway.behave = reset_once
    pool = make_pool(2)
    pool.exchange([1])
    broken, _ = pool._connections
    wait_until(lambda: not broken._backoff.is_paused)
    pool.exchange([2])

    assert (broken.opened, gateway.connections) == (2, 2)


def test_an_idle_thread_does_nothing(make_pool, gateway):
    pool = make_pool(silence=0.02)
    pool.exchange([1])
    time.sleep(0.1)

    turns = count_turns(pool)
    time.sleep(0.3)

    assert turns == []


def test_a_connection_that_ends_is_over_even_if_a_forked_process_has_a_copy(make_pool, gateway):
    has_ended = threading.Event()
    gateway.behave = lambda caller: (gateway.obey(caller), has_ended.set())
    pool = make_pool(silence=0.02)
    pool.exchange([1])
    copy = os.dup(pool._connections[0]._line.socket.fileno())
    try:
        pool.close(0)

        assert has_ended.wait(2)
    finally:
        os.close(copy)


# A protocol without answers -----------------------------------------------------------------------


def test_where_nothing_confirms_a_list_silence_does(make_pool, gateway):
    pool = make_pool(sentinel=None)

    assert reasons(pool.exchange([1, 2], confirm=True)) == [None, None]


def test_where_nothing_confirms_closing_does_not_wait_for_it(make_pool, gateway):
    pool = make_pool(sentinel=None, silence=0.02)
    pool.exchange([1])

    started = time.monotonic()
    pool.close(4.0)

    assert time.monotonic() - started < 1


def test_a_list_longer_than_the_record_is_confirmed_in_parts(make_pool, gateway):
    gateway.bad = {20: 8}
    pool = make_pool(limit=8, silence=30.0)

    verdicts = pool.exchange(list(range(30)), confirm=True)

    assert Counter(reasons(verdicts)) == {None: 29, "InvalidToken": 1}
    assert gateway.accepted == [n for n in range(30) if n != 20]


def test_a_system_without_a_thread_to_spare_costs_only_what_comes_meanwhile(make_pool, gateway):
    pool = make_pool()
    before = threading.stack_size(2**46)
    try:
        [verdict] = pool.exchange([1])
    finally:
        threading.stack_size(before)
    assert verdict == Verdict(None, "no thread for the gateway: can't start new thread")
    assert pool.exchange([2])[0].status == 0
    assert gateway.accepted == [2]
