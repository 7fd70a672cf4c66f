"""Results of tasks that were carried out here, for those who ask by a task's id.

Celery hands `AsyncResult`s out that it made before a task ran: those of a group or a chain. They,
and any that is made of an id later, would look into the result backend, where nothing is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from celery.result import AsyncResult, EagerResult

#: Results that are kept; the oldest go.
LIMIT: Final = 100_000

_Meta = dict[str, Any]
#: What of an `AsyncResult` looks into the backend.
_LOOKING: Final = ("get", "then", "_get_task_meta")


class TaskResults:
    """What became of tasks, by their ids."""

    def __init__(self) -> None:
        self._metas: dict[str, _Meta] = {}

    def keep(self, result: "EagerResult[Any]") -> None:
        """Keep what became of a task."""
        while len(self._metas) >= LIMIT:
            del self._metas[next(iter(self._metas))]
        self._metas[result.id] = {
            "task_id": result.id,
            "status": result.state,
            "result": result.result,
            "traceback": None,
            "children": [],
        }

    @contextmanager
    def are_found(self) -> Iterator[None]:
        """Let every `AsyncResult` of such a task know its result."""
        patched: Any = AsyncResult
        before = {name: vars(patched)[name] for name in (*_LOOKING, "supports_native_join")}
        for name in _LOOKING:
            setattr(patched, name, self._knowing(before[name]))
        native = before["supports_native_join"]
        patched.supports_native_join = property(
            lambda one: one.id not in self._metas and native.__get__(one)
        )
        try:
            yield
        finally:
            for name, attribute in before.items():
                setattr(patched, name, attribute)

    def _knowing(self, look: Callable[..., Any]) -> Callable[..., Any]:
        def look_here_first(one: Any, *args: Any, **kwargs: Any) -> Any:
            meta = self._metas.get(one.id)
            if meta is None or isinstance(one, EagerResult):
                return look(one, *args, **kwargs)
            if one._cache is None:  # noqa: SLF001
                one._maybe_set_cache(dict(meta))  # noqa: SLF001
            if look.__name__ == "then":
                return one.on_ready.then(*args)
            return look(one, *args, **kwargs)

        return look_here_first
