"""The names under which we keep things in Redis, and how much of each we keep at the most."""

from typing import Final

from pushtasks.results import Provider

PREFIX: Final = "pushtasks:"

#: Stream of news about devices, each entry one field, `news`, of JSON.
STREAM: Final = f"{PREFIX}feedback"
NEWS_FIELD: Final = "news"
#: How many entries were trimmed from the stream before everybody had read them.
LOST: Final = f"{PREFIX}feedback:lost"

#: Hash of the last entry that was looked at, by who looked.
CURSORS: Final = f"{PREFIX}cursors"

#: Set of `provider:app`, each with a hash of counters.
REPORTS: Final = f"{PREFIX}reports"
#: Reasons that are counted one by one; any further one, of a provider gone mad, is "other".
REASONS_LIMIT: Final = 200
#: Characters of a reason in a counter's name.
REASON_LENGTH: Final = 80

#: Followed by `provider:app` and the number of a slot of minutes: a hash of what became of pushes
#: in each of them, by `minute:kind`; slots and minutes are counted from 1970 on.
MINUTES: Final = f"{PREFIX}minutes:"
#: Minutes in one slot, since small hashes are quickest.
MINUTES_SLOT: Final = 10
#: Seconds for which a slot outlives its last minute: somewhat more than the hour that is shown.
MINUTES_AGE: Final = 70 * 60
#: The field of a report that holds the second of the last minute in which a push was accepted.
ACCEPTED_AT: Final = "accepted_at"

#: Seconds of one half of the breaker's window: it looks at this half and the one before.
BREAKER_BUCKET: Final = 600
#: Suspicious rejections in the window below which they are held back in silence.
BREAKER_ALARM_LEAST: Final = 3
#: Seconds until the same alarm is raised again, over all processes.
BREAKER_ALARM_PAUSE: Final = 60
STREAM_ALARM_PAUSE: Final = 600
#: Share of the stream's length from which on unread entries are worth a warning.
NEARLY_FULL: Final = 0.8

#: Tokens that are kept as known dead, for each app.
DEAD_LIMIT: Final = 1_000_000
#: Seconds for which they are.
DEAD_AGE: Final = 30 * 24 * 3600

#: Seconds after which a wake-up that nobody followed is forgotten.
WAKE_AGE: Final = 60

#: Sorted set of fan-outs by the millisecond in which they began, and how many it keeps.
FANOUTS: Final = f"{PREFIX}fanouts"
FANOUTS_LIMIT: Final = 10_000
#: Followed by its id: a fan-out.
FANOUT: Final = f"{PREFIX}fanout:"
#: Seconds after which a fan-out is forgotten with which nothing happens.
FANOUT_AGE: Final = 7 * 24 * 3600
#: Failures that a fan-out keeps, each entry one field of JSON.
FAILURES_LIMIT: Final = 100_000
FAILURE_FIELD: Final = "failure"


def report(provider: Provider, app: str) -> str:
    """Return the key of an app's counters, a hash."""
    return f"{PREFIX}report:{provider}:{app}"


def minutes(provider: Provider, app: str, slot: int) -> str:
    """Return the key of what became of an app's pushes in some ten minutes, a hash."""
    return f"{MINUTES}{provider}:{app}:{slot}"


def breaker(provider: Provider, app: str, environment: str) -> str:
    """Return the key of the window in which suspicious rejections are counted, a hash."""
    return f"{PREFIX}breaker:{provider}:{app}:{environment}"


def dead(provider: Provider, app: str) -> str:
    """Return the key of an app's known-dead tokens, a sorted set."""
    return f"{PREFIX}dead:{provider}:{app}"


def alarm(name: str) -> str:
    """Return the key that exists while an alarm is not to be raised again."""
    return f"{PREFIX}alarm:{name}"


def wake(consumer: str) -> str:
    """Return the key that exists while a delivery to a consumer is on its way."""
    return f"{PREFIX}wake:{consumer}"


def pause(consumer: str) -> str:
    """Return the key that exists while a consumer that failed is to be left alone."""
    return f"{PREFIX}pause:{consumer}"


def failures(consumer: str) -> str:
    """Return the key of how often a consumer has failed in a row."""
    return f"{PREFIX}failures:{consumer}"


def place(consumer: str) -> str:
    """Return the key of the entry at which a consumer had failed too often to go on."""
    return f"{PREFIX}place:{consumer}"


def lock(name: str) -> str:
    """Return the key of a lock; it holds the owner."""
    return f"{PREFIX}lock:{name}"


def secret(name: str) -> str:
    """Return the key of a random text that all processes share."""
    return f"{PREFIX}secret:{name}"


def fanout(id_: str) -> str:
    """Return the key of a fan-out's spec and counters, a hash."""
    return f"{FANOUT}{id_}"


def fanout_keys(id_: str) -> list[str]:
    """Return the seven keys of a fan-out, in the order in which all scripts take them."""
    name = fanout(id_)
    parts = ("publisher", "done", "running", "failures", "work", "signs")
    return [name, *(f"{name}:{part}" for part in parts)]


def chunk(id_: str, number: int) -> str:
    """Return the key of the devices of a chunk that are settled, a bitmap."""
    return f"{FANOUT}{id_}:chunk:{number}"


def fanout_by_key(key: str) -> str:
    """Return the key that leads to the id of the fan-out that a caller has given a key."""
    return f"{PREFIX}fanout-key:{key}"


def quiet(provider: Provider, app: str) -> str:
    """Return the key that exists while an app is to send nothing, as its provider asked."""
    return f"{PREFIX}quiet:{provider}:{app}"


def bucket(provider: Provider, app: str) -> str:
    """Return the key of what an app has used of its rate, a hash."""
    return f"{PREFIX}rate:{provider}:{app}"
