"""A chunk of a fan-out as its worker sees it: which devices are left, what became of the others."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

from pushtasks.news import News, Tally
from pushtasks.store import chunk_scripts, keys
from pushtasks.store.connection import Connection
from pushtasks.store.fanout_state import State
from pushtasks.store.rates import Limit
from pushtasks.store.tallies import Noted, news_arguments

#: The digit of a place that is in.
_IN: Final = ord("1")


class Places:
    """Places of devices in their chunk, as a set of bits."""

    def __init__(self, size: int) -> None:
        self._digits = bytearray(b"0" * size)

    @classmethod
    def of(cls, size: int, places: Iterable[int]) -> Self:
        """Return a set of these."""
        made = cls(size)
        for place in places:
            made.add(place)
        return made

    def add(self, place: int) -> None:
        """Put a place in."""
        self._digits[place] = _IN

    def to_bitmap(self) -> bytes:
        """Return it as Redis keeps bits, the first place highest; nothing if it is empty."""
        if _IN not in self._digits:
            return b""
        length = (len(self._digits) + 7) // 8
        return int(self._digits.ljust(8 * length, b"0"), 2).to_bytes(length, "big")


@dataclass(frozen=True, slots=True)
class Work:
    """What a chunk is about, as its publisher leaves it for a worker."""

    #: Devices, as `send_apns_many` or `send_gcm_many` takes them; at Google `[target, {"payload":
    #: …}]` pairs too. Of a mixed fan-out `["apns", device token]` and `["gcm", registration id]`,
    #: perhaps with a dict as third.
    entries: list[Any]
    #: Where in the source they are from: the line of the first, if each is one line, else a list.
    lines: int | list[int] | None = None

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps([self.lines, self.entries], separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what `to_json` was called on."""
        lines, entries = json.loads(text)
        return cls(entries, lines)

    def line(self, place: int) -> int | None:
        """Return the line of the source that a device comes from, if it is known."""
        if isinstance(self.lines, list):
            return self.lines[place]
        return None if self.lines is None else self.lines + place


class Begun(NamedTuple):
    """What a worker is told that begins a try."""

    #: None: there is no such fan-out, or no longer.
    state: State | None
    #: Whether all devices are settled.
    is_done: bool
    #: Bitmap of the devices that are.
    settled: bytes
    #: Seconds to wait before anything may be sent; the try has not begun then.
    wait: float
    #: Whether the try before this one was cut off.
    is_repeat: bool
    #: For each app what to ask with when the wait is over.
    slots: tuple[int, ...]

    @classmethod
    def from_answer(cls, answer: Sequence[Any]) -> Self:
        """Return what the script answered."""
        state, is_done, digits, wait, is_repeat, *slots = answer
        return cls(
            State(state) if state else None,
            bool(is_done),
            bytes.fromhex(digits),
            wait / 1000,
            bool(is_repeat),
            tuple(slots),
        )

    def left(self, entries: Mapping[int, Any]) -> Mapping[int, Any]:
        """Return those entries, by their places, whose devices are not settled."""
        if not self.settled:
            return entries
        return {p: entry for p, entry in entries.items() if not self.is_settled(p)}

    def is_settled(self, place: int) -> bool:
        """Tell whether the device at a place is settled."""
        byte, bit = divmod(place, 8)
        return byte < len(self.settled) and bool(self.settled[byte] & (0x80 >> bit))


class Settled(NamedTuple):
    """A device that is settled and was not simply accepted."""

    place: int
    #: The fan-out's counter, and that of the report.
    outcome: str
    reported: str
    #: Whether it was the provider that ended it, and whether it has named a successor.
    is_judged: bool
    is_renamed: bool
    #: What goes to the feedback stream.
    news: tuple[News, ...]
    #: What goes to the list of failures.
    failure: dict[str, Any]

    def arguments(self) -> list[Any]:
        """Return what the script takes of each such device."""
        place, outcome, reported, is_judged, is_renamed, news, failure = self
        return [
            *(place, outcome, reported, int(is_judged), int(is_renamed)),
            *(json.dumps(failure), len(news)),
            *(argument for one in news for argument in news_arguments(one)),
        ]


_NOBODY: Final = Places(0)


@dataclass(frozen=True, slots=True)
class Note:
    """What is to be noted of a chunk, of the devices of one app."""

    fanout: str
    chunk: int
    #: All devices of the chunk.
    size: int
    limit: Limit
    environment: str = ""
    accepted: Places = _NOBODY
    others: Sequence[Settled] = ()
    #: Devices that were left as they are, and the counter of their common end. They are not told to
    #: the report, since nothing was tried.
    alike: Places = _NOBODY
    alike_as: str = "not_sent"
    #: Whether the try is over; how many devices are to be tried once more.
    is_over: bool = False
    retried: int = 0
    #: Seconds for which the chunk is in good hands now.
    lease: float = 0.0
    #: Seconds for which the app is to send nothing.
    silence: float = 0.0
    #: What kept the chunk from being sent.
    error: str = ""

    @property
    def keys(self) -> list[str]:
        """The script's keys, but for those of the report."""
        names = chunk_keys(self.fanout, self.chunk)
        return [*names, f"{names[-1]}:scratch", *self.limit.keys]

    @property
    def tally(self) -> Tally:
        """What the report is kept by; the script fills in the counts."""
        return Tally(self.limit.provider, self.limit.app, self.environment)

    def arguments(self, head: str) -> list[Any]:
        """Return the script's arguments.

        Args:
            head: How the report is to be kept, the first of `tallies.script_arguments`.
        """
        return [
            *(self.chunk, self.size),
            *(self.accepted.to_bitmap(), self.alike.to_bitmap(), self.alike_as),
            *(int(self.is_over), self.retried, int(self.lease * 1000), int(self.silence * 1000)),
            *(self.error, head),
            *(argument for one in self.others for argument in one.arguments()),
        ]


class Chunks:
    """The chunks of all fan-outs; its methods raise `StoreUnavailable` if Redis is away."""

    def __init__(
        self,
        connection: Connection,
        call: Callable[[Tally, Sequence[str]], tuple[list[str], list[Any]]],
        read: Callable[[Tally, Sequence[Any], Sequence[str]], Noted],
    ) -> None:
        """Take the connection, and how a tally is written and what that sets off is read."""
        self._connection = connection
        self._call = call
        self._read = read

    def work(self, fanout: str, chunk: int) -> Work | None:
        """Return what a chunk is about; None if it is done, or its fan-out is gone."""
        with self._connection.watched() as client:
            text = client.hget(keys.fanout_keys(fanout)[5], str(chunk))
        return Work.from_json(text) if text else None

    def begin(
        self,
        fanout: str,
        chunk: int,
        size: int,
        turns: Sequence[tuple[Limit, int, int]],
        *,
        task: str = "",
        lease: float = 0.0,
        own_wait: float = 0.0,
    ) -> Begun:
        """Begin a try of a chunk, if there is something to send and its apps may send it now.

        Args:
            fanout: Id of the fan-out.
            chunk: Number of the chunk.
            size: All its devices.
            turns: Of each app its limit, how many devices are to be sent to, and the slot that an
                earlier try was given for them, or 0.
            task: Id of the task: another one waits while this one is at it.
            lease: Seconds for which the chunk is in good hands then, if nothing is heard of it.
            own_wait: Seconds for which the chunk has a reason of its own to wait; none is begun.
        """
        names = chunk_keys(fanout, chunk)
        arguments: list[Any] = [chunk, size, task, int(lease * 1000), math.ceil(own_wait * 1000)]
        for limit, cost, slot in turns:
            names += limit.keys
            arguments += limit.arguments(cost, slot)
        [answer] = self._connection.run(chunk_scripts.BEGIN, [(names, arguments)])
        return Begun.from_answer(answer)

    def note(self, note: Note, consumers: Sequence[str] = ()) -> tuple[bool, list[Noted]]:
        """Note what became of devices of a chunk, and count and tell the same for the report.

        All of it or nothing, in one round trip; a device that was settled before counts nowhere.
        If Redis cannot be reached it may be noted all the same: to note it again does no harm.

        Args:
            note: Of one try, or of a part of it.
            consumers: Whom to wake if there are news; see `Noted.wake`.

        Returns:
            Whether the chunk is done, and what has been set off.
        """
        tally = note.tally
        names, [head, *_] = self._call(tally, consumers)
        call = ([*note.keys, *names], note.arguments(head))
        [(is_done, *told)] = self._connection.run(chunk_scripts.NOTE, [call])
        return bool(is_done), [self._read(tally, answer, consumers) for answer in told]


def chunk_keys(fanout: str, chunk: int) -> list[str]:
    """Return the eight keys of a chunk, in the order in which all scripts take them."""
    return [*keys.fanout_keys(fanout), keys.chunk(fanout, chunk)]
