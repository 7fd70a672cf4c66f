"""GCM and the FCM legacy protocol in JSON, pure: pushes → calls, the answer to a call → verdicts.

Up to 1000 registration ids share a call, and nothing but their order says whose result is whose:
an answer with more or fewer results than ids tells nothing about any of them.

Ids always go as `registration_ids`, a single one too: every server since 2012 takes that, while
`to` came in 2015. Only what nothing else can say goes as `to`: topics and device groups.

Source: Google, Firebase Cloud Messaging HTTP protocol (legacy) reference.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from pushtasks.errors import InvalidPush
from pushtasks.fcm.legacy_message import LegacyMessage, legacy_message
from pushtasks.fcm.message import CONDITION, TOKEN, TOPIC, Target, check_size
from pushtasks.fcm.message import target as any_target
from pushtasks.masking import mask
from pushtasks.net.http import Answer, Response, Unanswered, json_object
from pushtasks.results import Verdict
from pushtasks.wire import gcm as wire

#: A device group, by its key; v1 has no such kind, and sends to the key as to a token.
GROUP: Final = "notification_key"
#: Errors of single results that the server's Retry-After is about.
PASSING: Final = frozenset({"Unavailable", "InternalServerError"})
#: Characters of a word in an answer; registration ids are the longest.
WORD_LIMIT: Final = 4096
#: Our word for a group none of whose members was reached: they may be, later.
NO_MEMBER: Final = "Unavailable"


class Push(NamedTuple):
    """A message and whom it goes to."""

    message: LegacyMessage
    target: Target


class Call(NamedTuple):
    """One request, and whose pushes it carries."""

    body: bytes
    #: Which of the pushes that were to be sent, in the order in which the request names them.
    places: Sequence[int]
    targets: Sequence[Target]


def message(payload: object, *, dry_run: bool) -> LegacyMessage:
    """Check everything of a message but its target: see `legacy_message`."""
    return legacy_message(payload, dry_run=dry_run)


def target(value: object) -> Target:
    """Check a target, as `fcm.message.target` does.

    Raises:
        InvalidPush: It is none, or an installation (`fid`), which is younger than the protocol.
    """
    checked = any_target(value)
    if checked.kind == "fid":
        raise InvalidPush(
            f"fid {mask(checked.value)}: the legacy protocol, which this app speaks, has no such"
            " target: give the registration id, or send with an app whose protocol is v1"
        )
    is_group = isinstance(value, Mapping) and GROUP in value
    return replace(checked, kind=GROUP) if is_group else checked


def push(message: LegacyMessage, value: object) -> Push:
    """Return the push of a message to a target.

    Raises:
        InvalidPush: The value is no target, or the message is too large for it.
    """
    checked = target(value)
    check_size(message, checked)
    return Push(message, checked)


def calls(pushes: Sequence[Push]) -> Iterator[Call]:
    """Put pushes into as few calls as the protocol allows.

    A topic, condition or group takes a call of its own; ids share one with those of the same
    message.
    """
    multicasts: dict[LegacyMessage, list[int]] = {}
    for place, (common, to) in enumerate(pushes):
        if to.kind == TOKEN:
            multicasts.setdefault(common, []).append(place)
        else:
            yield Call(_body(common, _address(to)), [place], [to])
    for common, places in multicasts.items():
        for start in range(0, len(places), wire.REGISTRATION_IDS_LIMIT):
            part = places[start : start + wire.REGISTRATION_IDS_LIMIT]
            targets = [pushes[place].target for place in part]
            ids = [one.value for one in targets]
            yield Call(_body(common, {"registration_ids": ids}), part, targets)


def read(call: Call, answer: Answer) -> list[Verdict]:
    """Return what became of each push of a call, in its order, whatever the answer looks like."""
    failure = read_failure(answer)
    if failure is not None:
        return [failure] * len(call.places)
    assert isinstance(answer, Response)  # noqa: S101 - all else is a failure
    content = json_object(answer.body)
    results = content.get("results")
    if results is None and len(call.places) == 1:  # a topic, a condition, a group
        results = [content]
    count = len(results) if isinstance(results, list) else "no"
    if not isinstance(results, list) or count != len(call.places):
        lost = _lost(answer, f"{count} results for {len(call.places)} registration ids")
        return [lost] * len(call.places)
    return [read_result(*pair, answer) for pair in zip(call.targets, results, strict=True)]


# Answers --------------------------------------------------------------------------------------


def read_failure(answer: Answer) -> Verdict | None:
    """Return what became of all pushes of a call that failed as a whole, None if it did not."""
    if isinstance(answer, Unanswered):
        return Verdict(None, answer.reason, maybe_sent=answer.maybe_sent)
    status = answer.status
    if 200 <= status < 300:  # noqa: PLR2004
        return None
    reason = wire.STATUS_REASONS.get(status) or wire.UNNAMED_REASON.format(status=status)
    return Verdict(status, reason, retry_after=answer.retry_after)


def read_result(to: Target, result: object, answer: Response) -> Verdict:
    """Return what a single result says of its target.

    Args:
        to: Whom the message went to.
        result: The fields `message_id`, `registration_id`, `error`, or those of a group's answer.
        answer: What the result is from.
    """
    fields: Mapping[str, Any] = result if isinstance(result, dict) else {}
    error = _word(fields.get("error"))
    if error is not None:
        wait = answer.retry_after if error in PASSING else None
        return Verdict(answer.status, error, retry_after=wait)
    message_id = _word(fields.get("message_id"))
    if message_id is None:
        return _read_group(fields, answer)
    canonical_id = _word(fields.get("registration_id"))
    if canonical_id == to.value:
        canonical_id = None
    return Verdict(answer.status, message_id=message_id, canonical_id=canonical_id)


def _read_group(fields: Mapping[str, Any], answer: Response) -> Verdict:
    counts = fields.get("success"), fields.get("failure")
    if not all(isinstance(count, int) for count in counts):
        return _lost(answer, "a result with neither message_id nor error")
    ids = fields.get("failed_registration_ids")
    failed = tuple(filter(None, map(_word, ids if isinstance(ids, list) else ())))
    success, failure = counts
    if failure and not success:
        wait = answer.retry_after
        return Verdict(answer.status, NO_MEMBER, retry_after=wait, failed_registration_ids=failed)
    return Verdict(answer.status, failed_registration_ids=failed)


def _lost(answer: Response, what: str) -> Verdict:
    """Return that nobody knows: the server took the pushes, and what it says cannot be read."""
    return Verdict(None, f"HTTP {answer.status} with {what}", maybe_sent=True)


def _word(value: object) -> str | None:
    """Return a text, or a number as one; message ids of topics are numbers."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.isprintable():
        return None
    return value if 0 < len(value) <= WORD_LIMIT else None


# Requests -------------------------------------------------------------------------------------


def _address(to: Target) -> dict[str, str]:
    if to.kind == CONDITION:
        return {CONDITION: to.value}
    return {"to": wire.TOPIC_PREFIX + to.value if to.kind == TOPIC else to.value}


def _body(common: LegacyMessage, address: Mapping[str, object]) -> bytes:
    content = {**address, **common.fields}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
