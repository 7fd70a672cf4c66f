"""The results of many devices, gathered over the tries of one task."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from pushtasks.results import GCM, VERSION, Identifier, Outcome, Provider, Result, Verdict


class Collector(Protocol):
    """Takes what becomes of each device, once each."""

    def accept(self, place: int, token: str, verdict: Verdict) -> None:
        """Note a device whose push was accepted."""

    def add(self, place: int, result: Result) -> None:
        """Note any other device: one to be renamed, or a group that was reached in part, too."""


class Gathering(Collector, Protocol):
    """Takes it over the tries of a task, and makes the task's result of it."""

    #: Devices that were not simply accepted, by place, of this try alone.
    settled: list[tuple[int, Result]]

    def state(self) -> dict[str, Any]:
        """Return what the next try is to go on with, as JSON."""

    def to_dict(self) -> dict[str, Any]:
        """Return the task's result."""


class Summary:
    """Counts, and a dict only of each device that was not simply accepted."""

    def __init__(
        self,
        provider: Provider,
        app: str,
        state: dict[str, Any],
        identify: Callable[[int], Identifier | None] | None = None,
    ) -> None:
        """Begin, or go on.

        Args:
            provider: `apns` or `gcm`.
            app: The app's name.
            state: As the try before has left it; empty in the first.
            identify: Returns what the caller calls the push of a place; left out, nothing.
        """
        self.settled: list[tuple[int, Result]] = []
        self._identify = identify
        self._provider = provider
        self._app = app
        self._counts: dict[str, int] = {
            **{outcome.value: 0 for outcome in Outcome},
            "canonical_ids": 0,
            **state.get("counts", {}),
        }
        self._failures: list[dict[str, Any]] = state.get("failures", [])
        self._replacements: list[dict[str, Any]] = state.get("replacements", [])

    def accept(self, _place: int, _token: str, _verdict: Verdict) -> None:
        """Count a device whose push was accepted."""
        self._counts["accepted"] += 1

    def add(self, place: int, result: Result) -> None:
        """Count any other device, and keep its dict."""
        if self._identify:
            result = replace(result, identifier=self._identify(place))
        self.settled.append((place, result))
        self._counts[result.outcome.value] += 1
        if result.outcome is not Outcome.ACCEPTED or result.failed_registration_ids:
            self._failures.append(result.to_dict())
        if result.canonical_id:
            self._counts["canonical_ids"] += 1
            self._replacements.append(result.to_dict())

    def state(self) -> dict[str, Any]:
        """Return what the next try is to go on with."""
        return {
            "counts": self._counts,
            "failures": self._failures,
            "replacements": self._replacements,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the result of a `_many` task."""
        return {
            "version": VERSION,
            "provider": self._provider,
            "app": self._app,
            **self._counts,
            "failures": self._failures,
            "replacements": self._replacements,
        }


class Listing:
    """A dict of each device, in the order in which the caller named them."""

    def __init__(self, app: str, multicast_id: str, state: dict[str, Any]) -> None:
        self.settled: list[tuple[int, Result]] = []
        self._app = app
        self._multicast_id = multicast_id
        self._results: dict[int, dict[str, Any]] = {
            int(place): result for place, result in state.get("results", {}).items()
        }

    def accept(self, place: int, token: str, verdict: Verdict) -> None:
        """Keep the dict of a device whose push was accepted."""
        result = Result(
            GCM,
            self._app,
            token,
            Outcome.ACCEPTED,
            status=verdict.status,
            message_id=verdict.message_id,
        )
        self._results[place] = result.to_dict()

    def add(self, place: int, result: Result) -> None:
        """Keep the dict of any other device."""
        self.settled.append((place, result))
        self._results[place] = result.to_dict()

    def state(self) -> dict[str, Any]:
        """Return what the next try is to go on with."""
        return {"results": {str(place): result for place, result in self._results.items()}}

    def to_dict(self) -> dict[str, Any]:
        """Return the result of `send_gcm` with a list."""
        results = [self._results[place] for place in sorted(self._results)]
        success = sum(result["outcome"] == Outcome.ACCEPTED for result in results)
        return {
            "version": VERSION,
            "provider": GCM,
            "app": self._app,
            "multicast_id": self._multicast_id,
            "success": success,
            "failure": len(results) - success,
            "canonical_ids": sum(result["canonical_id"] is not None for result in results),
            "results": results,
        }
