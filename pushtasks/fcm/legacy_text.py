"""GCM's plain-text form, pure: pushes → calls, the answer to a call → verdicts.

A call carries one registration id, and fields that a web form can carry. For relays that take
nothing else; `legacy` is the same in JSON.

Source: Google, `docs/html/google/gcm` of the Android platform's sources.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from pushtasks.errors import InvalidPush
from pushtasks.fcm import legacy
from pushtasks.fcm.checks import invalid
from pushtasks.fcm.legacy import Call, Push, read_failure, read_result
from pushtasks.fcm.legacy_message import LegacyMessage, legacy_message
from pushtasks.fcm.message import TOKEN
from pushtasks.net.http import Answer, Response
from pushtasks.results import Verdict

FIELDS: Final = frozenset(
    {
        "collapse_key",
        "data",
        "delay_while_idle",
        "dry_run",
        "restricted_package_name",
        "time_to_live",
    }
)
WAY_OUT: Final = 'leave it out, or set form = "json" for the app if its server takes JSON'
#: A line of an answer → the same field of a JSON result.
RESULT_FIELDS: Final = {
    "id": "message_id",
    "registration_id": "registration_id",
    "Error": "error",
}


def message(payload: object, *, dry_run: bool) -> LegacyMessage:
    """Check everything of a message but its target.

    Raises:
        InvalidPush: As of `legacy_message`, or a field cannot be said in plain text.
    """
    made = legacy_message(payload, dry_run=dry_run)
    for name in made.fields:
        if name not in FIELDS:
            raise invalid(name, f"GCM's plain text cannot carry it: {WAY_OUT}")
    return made


def push(message: LegacyMessage, value: object) -> Push:
    """Return the push of a message to a registration id.

    Raises:
        InvalidPush: The value is none, or the message is too large.
    """
    made = legacy.push(message, value)
    if made.target.kind != TOKEN:
        raise InvalidPush(
            f"{made.target.kind}: GCM's plain text goes to registration ids only: {WAY_OUT}"
        )
    return made


def calls(pushes: Sequence[Push]) -> Iterator[Call]:
    """Put each push into a call of its own."""
    shared: dict[LegacyMessage, str] = {}
    for place, (common, to) in enumerate(pushes):
        if common not in shared:
            shared[common] = urlencode(list(_pairs(common.fields)))
        body = "&".join(filter(None, (urlencode({"registration_id": to.value}), shared[common])))
        yield Call(body.encode(), [place], [to])


def read(call: Call, answer: Answer) -> list[Verdict]:
    """Return what became of the push of a call, whatever the answer looks like."""
    failure = read_failure(answer)
    if failure is not None:
        return [failure]
    assert isinstance(answer, Response)  # noqa: S101 - all else is a failure
    result = {}
    for line in answer.body.decode(errors="replace").splitlines():
        name, _, value = line.partition("=")
        if name in RESULT_FIELDS:
            result[RESULT_FIELDS[name]] = value.strip()
    return [read_result(call.targets[0], result, answer)]


def _pairs(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        match value:
            case Mapping():
                yield from ((f"{name}.{key}", text) for key, text in value.items())
            case True:
                yield name, "1"
            case _:
                yield name, str(value)
