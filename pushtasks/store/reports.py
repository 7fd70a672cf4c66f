"""Reports as they are kept, a hash of each app, and as they are shown."""

from collections.abc import Mapping
from typing import Any, Final

from pushtasks.store import keys
from pushtasks.store.tallies import COUNTERS

_REJECTED: Final = "rejected:"
#: Counters beside those of a tally.
_STREAM_COUNTERS: Final = ("dead_tokens", "held")


def read_report(client: Any) -> tuple[dict[str, dict[str, dict[str, Any]]], dict[str, int]]:
    """Return the counters by provider and app, and the state of the stream.

    Args:
        client: Of redis-py.
    """
    names = sorted(client.smembers(keys.REPORTS))
    pipeline = client.pipeline(transaction=True)
    for name in names:
        pipeline.hgetall(keys.report(*name.split(":", 1)))
    pipeline.xlen(keys.STREAM)
    pipeline.get(keys.LOST)
    *hashes, size, lost = pipeline.execute()
    apps: dict[str, dict[str, dict[str, Any]]] = {}
    for name, counts in zip(names, hashes, strict=True):
        provider, _, app = name.partition(":")
        apps.setdefault(provider, {})[app] = _shown(counts)
    return apps, {"entries": size, "lost": int(lost or 0)}


def _shown(counts: Mapping[str, str]) -> dict[str, Any]:
    rejected = {
        name.removeprefix(_REJECTED): int(count)
        for name, count in sorted(counts.items())
        if name.startswith(_REJECTED)
    }
    shown: dict[str, Any] = {}
    for name in (*COUNTERS, *_STREAM_COUNTERS):
        shown[name] = int(counts.get(name, 0))
        if name == "accepted":
            shown["rejected"] = rejected
    return shown
