"""One try of a chunk of a fan-out: what is left of it is sent, and noted as it is done.

Whatever is delivered twice, after a worker was killed or because a publisher could not know, a
device is counted once, and none is sent to that was noted as accepted. What is in flight when a
worker is killed is sent again.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from celery.exceptions import TaskPredicate

from pushtasks import observers
from pushtasks.chunks.message import Chunk
from pushtasks.chunks.parts import Part, split
from pushtasks.chunks.task import ChunkTask
from pushtasks.config import current_settings
from pushtasks.errors import PushError
from pushtasks.feedback import consumers
from pushtasks.feedback.telling import follow_up
from pushtasks.observers import Kind
from pushtasks.results import APNS, GCM, Outcome, Result, Verdict
from pushtasks.sending import pacing
from pushtasks.sending.addressing import policy
from pushtasks.sending.arguments import Arguments
from pushtasks.sending.delivery import Later, deliver_many
from pushtasks.sending.observed import Call
from pushtasks.store import StoreUnavailable
from pushtasks.store.chunks import Begun, Note, Places
from pushtasks.store.fanout_state import Spec, State
from pushtasks.store.rates import Limit

logger = logging.getLogger(__name__)


def send_chunk(task: ChunkTask, arguments: Arguments) -> dict[str, int] | None:
    """Try to send what is left of a chunk; a chunk that fails has been counted to its end.

    Returns:
        For logs: how many devices were accepted in this try, and how many ended otherwise; None if
        there was nothing to do.

    Raises:
        InvalidPush: What the devices share can be sent to none, or there is no such app.
        InvalidSettings: The app's settings or keys cannot be used, or there is no Redis.
        PushNotSent: Some devices should be tried again, but it was called as a function.
    """
    chunk = Chunk(task, arguments)
    spec = chunk.spec()
    if spec is None:
        logger.warning("Fan-out %s is gone; its chunk %d is not sent", *chunk.name)
        return None
    if not chunk.find_work():
        return None
    try:
        return _try(chunk, spec)
    except (TaskPredicate, StoreUnavailable):  # it comes again
        raise
    except PushError as error:
        _give_up(chunk, spec, Outcome.NOT_SENT, str(error))
        raise
    except Exception as error:
        _give_up(chunk, spec, Outcome.MAYBE_SENT, f"{type(error).__name__}: {error}")
        raise


def _try(chunk: Chunk, spec: Spec) -> dict[str, int] | None:
    sending = _Sending(chunk, spec)
    begun = sending.begin()
    if begun.is_done or begun.state is None:
        return None
    if begun.state is State.CANCELLED:
        _give_up(chunk, spec, Outcome.NOT_SENT)
        return None
    if begun.state is State.PAUSED:
        chunk.wait_for_people()
    if begun.wait:
        chunk.wait_for_turn(begun.wait)
    ends = [sending.send(part, begun) for part in sending.parts]
    laters = [end.later for end in ends if end.later]
    if laters:
        chunk.try_again(laters)
    return {
        "accepted": sum(end.accepted for end in ends),
        "others": sum(end.others for end in ends),
    }


def _give_up(chunk: Chunk, spec: Spec, outcome: Outcome, error: str = "") -> None:
    """Note that all that is left ends alike."""
    note = Note(
        *chunk.name,
        chunk.size,
        Limit(GCM if spec.provider == GCM else APNS, spec.app),
        alike=Places.of(chunk.size, chunk.places),
        alike_as=outcome.value,
        is_over=True,
        error=error,
    )
    chunk.patiently(lambda: chunk.store.chunks.note(note))


class _End(NamedTuple):
    """What became of the devices of one app in one try."""

    accepted: int
    others: int
    later: Later | None


class _Ends:
    """Collects it."""

    def __init__(self, size: int) -> None:
        self.accepted = Places(size)
        self.count = 0
        self.others: list[tuple[int, Result]] = []

    def accept(self, place: int, _token: str, _verdict: Verdict) -> None:
        self.accepted.add(place)
        self.count += 1

    def add(self, place: int, result: Result) -> None:
        self.others.append((place, result))


class _Sending:
    """A try, app by app."""

    def __init__(self, chunk: Chunk, spec: Spec) -> None:
        self._chunk = chunk
        self._celery_app = chunk.task.app
        self._consumers = consumers.wanted(current_settings(self._celery_app).feedback)
        self._retried, self._pause, self._lease = 0, 0.0, 0.0
        self.parts = split(self._celery_app, spec, chunk.entries())

    def begin(self) -> Begun:
        """Ask what is left, and whether it may be sent now."""
        chunk, progress = self._chunk, self._chunk.progress
        slots = progress.slots
        turns = [
            (part.limit, len(part.entries), slots.get(part.provider, 0)) for part in self.parts
        ]
        own = progress.wait() if chunk.task.comes_again() else 0.0
        task, self._lease = chunk.task.request.id or "", max(part.lease for part in self.parts)
        begin = partial(chunk.store.chunks.begin, *chunk.name, chunk.size, turns)
        begun = chunk.patiently(lambda: begin(task=task, lease=self._lease, own_wait=own))
        providers = [part.provider for part in self.parts]
        progress.slots = dict(zip(providers, begun.slots, strict=False)) if begun.wait else {}
        return begun._replace(wait=own or begun.wait)

    def send(self, part: Part, begun: Begun) -> _End:
        """Send to what is left of a part, and note what becomes of it."""
        chunk, ends, silence = self._chunk, _Ends(self._chunk.size), [0.0]
        devices = part.devices("{}:{}".format(*chunk.name), begun.left(part.entries))
        call = Call(part.provider, part.app.name, Kind.CHUNK)
        send = self._sender(part, devices.places, silence, call)
        rules = policy(part.provider, part.app)
        later = deliver_many(rules, chunk.progress, devices, send, ends)
        if observers.registered:
            self._tell_observers(call, part, ends, later)
        if later:
            self._retried += len(later.places)
            self._pause = max(self._pause, later.pause)
        self._note(
            self._note_of(
                part,
                accepted=ends.accepted,
                others=[part.settled(p, result, chunk.work.line(p)) for p, result in ends.others],
                is_over=part is self.parts[-1],
                retried=self._retried,
                silence=max(silence),
            )
        )
        return _End(ends.count, len(ends.others), later)

    def _sender(
        self, part: Part, places: Sequence[int], silence: list[float], call: Call
    ) -> Callable[[Sequence[Any]], list[Verdict]]:
        """Return a function that sends, notes in between, and hears that the app is to wait."""
        chunk = self._chunk

        def watch(accepted: list[tuple[int, Verdict]]) -> None:
            done = Places.of(chunk.size, (places[i] for i, _ in accepted))
            try:
                chunk.store.chunks.note(self._note_of(part, accepted=done))
            except StoreUnavailable as error:  # noted with the rest
                logger.debug("Fan-out %s, chunk %d: %s", *chunk.name, error)

        def send(pushes: Sequence[Any]) -> list[Verdict]:
            verdicts = call.make(partial(part.send, watch=watch), pushes)
            silence.append(pacing.asked_silence(part.limit, verdicts))
            return verdicts

        return send

    def _tell_observers(self, call: Call, part: Part, ends: _Ends, later: Later | None) -> None:
        chunk = self._chunk
        call.tell(
            ends.count,
            [result for _, result in ends.others],
            later,
            comes_again=chunk.task.comes_again(),
            environment=part.environment,
            task_id=chunk.task.request.id,
            tries=chunk.progress.tries,
            fanout=chunk.name[0],
            chunk=chunk.name[1],
        )

    def _note_of(self, part: Part, **what: Any) -> Note:
        chunk = self._chunk
        lease = self._lease + self._pause
        return Note(*chunk.name, chunk.size, part.limit, part.environment, lease=lease, **what)

    def _note(self, note: Note) -> None:
        chunk = self._chunk
        _, noted = chunk.patiently(lambda: chunk.store.chunks.note(note, self._consumers))
        follow_up(self._celery_app, noted)
