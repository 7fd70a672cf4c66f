"""Fan-outs as those see them who start, publish, watch and steer them."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pushtasks.store import fanout_scripts, keys, scripts
from pushtasks.store.connection import Connection
from pushtasks.store.fanout_state import Fanout, Spec, Standing, State

#: Fan-outs that are looked through at a time.
PAGE: Final = 500


class Fanouts:
    """The fan-outs of an installation.

    All methods raise `StoreUnavailable` if Redis cannot be reached, and time does not matter to
    them: what is done twice counts once.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # Reading ------------------------------------------------------------------------------------

    def find(self, id_: str) -> Fanout | None:
        """Return a fan-out; None if there is none, or no longer."""
        return self._find([id_])[0]

    def newest(self, count: int = 100) -> list[Fanout]:
        """Return fan-outs, the newest first."""
        with self._connection.watched() as client:
            ids = client.zrevrange(keys.FANOUTS, 0, count - 1)
        return [fanout for fanout in self._find(ids) if fanout]

    def under_way(self) -> Iterator[str]:
        """Yield the ids of all fan-outs that are not over, the newest first."""
        start = 0
        while page := self._page(start):
            yield from (id_ for id_, state, over in page if state and not over)
            start += len(page)

    def spec(self, id_: str) -> Spec | None:
        """Return what a fan-out is to do, which never changes; None if there is none."""
        with self._connection.watched() as client:
            text = client.hget(keys.fanout(id_), "spec")
        return Spec.from_json(text) if text else None

    def standing(self, id_: str) -> Standing | None:
        """Return how a fan-out stands; None if there is none, or no longer."""
        return self._standing(fanout_scripts.STANDING, keys.fanout_keys(id_), [])

    def failures(
        self, id_: str, after: str | None = None, count: int = 1000
    ) -> list[tuple[str, dict[str, Any]]]:
        """Return what went wrong or changed with devices, in the order in which it was learnt.

        Args:
            id_: Of the fan-out.
            after: Only what comes after the entry of this id.
            count: How many at the most.

        Returns:
            Each with its id: dicts of one device, as in results, with `line`, or null if that is
            not known. Of what was no device the publisher has chosen the keys.
        """
        start = f"({after}" if after else "-"
        with self._connection.watched() as client:
            entries = client.xrange(keys.fanout_keys(id_)[4], start, "+", count)
        return [(entry, json.loads(fields[keys.FAILURE_FIELD])) for entry, fields in entries]

    # Publishing ---------------------------------------------------------------------------------

    def create(self, spec: Spec) -> tuple[str, bool]:
        """Begin a fan-out; return its id, and whether it is new.

        It is not if there is one of the same key already; what that one is to do stays as it is.
        """
        id_ = uuid.uuid4().hex[:12]
        names = [*keys.fanout_keys(id_), keys.FANOUTS]
        if spec.key is not None:
            names.append(keys.fanout_by_key(spec.key))
        call = (names, [id_, spec.to_json()])
        [(found, is_new)] = self._connection.run(fanout_scripts.CREATE, [call])
        return found, bool(is_new)

    def published(
        self,
        id_: str,
        chunk: int,
        devices: int,
        position: Any,
        invalid: Sequence[Mapping[str, Any]] = (),
        *,
        work: str = "",
        key: str | None = None,
    ) -> Standing | None:
        """Note a chunk that goes to the broker next; how often it is noted does not matter.

        Args:
            id_: Of the fan-out.
            chunk: The number of the chunk, counted from 0 without a gap.
            devices: Its devices. A chunk without any needs no message; it is done at once.
            work: What they are, as of `chunks.Work.to_json`.
            position: Where in the source the next chunk begins, as JSON.
            invalid: What was read with it and is no device; it is counted and kept as a failure.
            key: The spec's, so that it lives as long as the fan-out.

        Returns:
            How the fan-out stands; None if it is gone.
        """
        names = keys.fanout_keys(id_)
        if key is not None:
            names.append(keys.fanout_by_key(key))
        arguments = [chunk, devices, work, json.dumps(position), *map(json.dumps, invalid)]
        return self._standing(fanout_scripts.PUBLISHED, names, arguments)

    def source_ended(
        self,
        id_: str,
        error: str | None = None,
        *,
        position: Any = None,
        invalid: Sequence[Mapping[str, Any]] = (),
    ) -> Standing | None:
        """Note that no more chunks are to come; the fan-out is over if all of them are done.

        Args:
            id_: Of the fan-out.
            error: What ended the source before its time, if it was that.
            position: As of `published`: where the source has ended.
            invalid: As of `published`: what was read after the last chunk.
        """
        arguments = [json.dumps(position), error or "", *map(json.dumps, invalid)]
        return self._standing(fanout_scripts.ENDED, keys.fanout_keys(id_), arguments)

    def lost(self, id_: str, *, overdue: float, silence: float, longest: float) -> list[int]:
        """Return the chunks whose messages the broker has lost, or may have: to be published again.

        Each is named once; it counts as published anew.

        Args:
            id_: Of the fan-out.
            overdue: Seconds after which a chunk is missed that a later one has overtaken.
            silence: Seconds without any sign of life after which all are missed that nobody is at;
                doubled each time, until something is heard again.
            longest: Seconds to which it is doubled at the most.
        """
        arguments = [int(seconds * 1000) for seconds in (overdue, silence, longest)]
        call = (keys.fanout_keys(id_), arguments)
        return list(self._connection.run(fanout_scripts.MEND, [call])[0])

    def claim(self, id_: str, owner: str, seconds: float) -> bool:
        """Become the publisher for so long, or stay it for longer; False if somebody else is."""
        call = ([keys.fanout_keys(id_)[1]], [owner, int(seconds * 1000)])
        return bool(self._connection.run(scripts.CLAIM, [call])[0])

    def release(self, id_: str, owner: str) -> bool:
        """Be the publisher no longer; False if the owner was not."""
        call = ([keys.fanout_keys(id_)[1]], [owner])
        return bool(self._connection.run(scripts.RELEASE, [call])[0])

    # Steering -----------------------------------------------------------------------------------

    def set_state(self, id_: str, state: State) -> bool:
        """Pause, resume or cancel; return whether it could be.

        A running one can be paused, a paused one can run on, either can be cancelled.
        """
        call = (keys.fanout_keys(id_), [state.value])
        return bool(self._connection.run(fanout_scripts.MOVE, [call])[0])

    def _standing(
        self, script: scripts.Script, names: list[str], arguments: list[Any]
    ) -> Standing | None:
        [answer] = self._connection.run(script, [(names, arguments)])
        if not answer:
            return None
        state, published, done, ended, has_publisher, is_over = answer
        return Standing(
            State(state), published, done, bool(ended), bool(has_publisher), bool(is_over)
        )

    def _page(self, start: int) -> list[tuple[str, str | None, str | None]]:
        """Return ids from a place on, each with its state and when it was over."""
        with self._connection.watched() as client:
            ids = client.zrevrange(keys.FANOUTS, start, start + PAGE - 1)
            with client.pipeline(transaction=False) as pipeline:
                for id_ in ids:
                    pipeline.hmget(keys.fanout(id_), "state", "finished_at")
                return [(id_, *fields) for id_, fields in zip(ids, pipeline.execute(), strict=True)]

    def _find(self, ids: Sequence[str]) -> list[Fanout | None]:
        with self._connection.watched() as client, client.pipeline(transaction=True) as pipeline:
            for id_ in ids:
                name, publisher, *_ = keys.fanout_keys(id_)
                pipeline.hgetall(name)
                pipeline.exists(publisher)
            answers = pipeline.execute()
        return [
            Fanout.from_hash(id_, fields, has_publisher=bool(has_publisher)) if fields else None
            for id_, fields, has_publisher in zip(ids, answers[::2], answers[1::2], strict=True)
        ]
