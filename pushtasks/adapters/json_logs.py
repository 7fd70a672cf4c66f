"""Logs with an object in each line, for what reads logs by machine.

Where `logs.format` is `json`, a worker's log is written so, and has a line for each try besides.
Nothing in it shows a device token in full or a payload: what the core logs has neither, and of what
Celery says of a task only its id, name and runtime are taken over.
"""

import json
import logging
from collections import Counter
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from celery import current_task

from pushtasks import observers
from pushtasks.observers import Observer, RejectedLate, Tried

logger = logging.getLogger("pushtasks.pushes")

#: Under which name an extra field stands in a record of `logging`.
FIELDS: Final = "pushtasks_fields"
#: Of what Celery attaches to its records: its key, and ours.
_CELERY: Final = MappingProxyType({"id": "task_id", "name": "task", "runtime": "seconds"})


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON.

    Keys are `time` (ISO 8601, UTC), `level`, `logger`, `process`, `message`, `task` and `task_id`
    if a task was running, `error` with a traceback, and the fields of the record if it has any.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
            **_task_of(record),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class PushLog(Observer):
    """Logs what becomes of pushes, a line for each try."""

    def tried(self, record: Tried) -> None:
        """Log the try."""
        fields = {
            "provider": record.provider,
            "app": record.app,
            "kind": record.kind.value,
            "tries": record.tries,
            "seconds": record.seconds,
            **_outcome(record),
        }
        optional = {
            "environment": record.environment or None,
            "token": record.token,
            "fanout": record.fanout,
            "chunk": record.chunk,
        }
        fields |= {name: value for name, value in optional.items() if value is not None}
        logger.info("push", extra={FIELDS: fields})

    def rejected_late(self, record: RejectedLate) -> None:
        """Log a rejection after the fact."""
        fields = {
            "provider": record.provider,
            "app": record.app,
            "reason": record.reason,
            "token": record.token,
        }
        logger.warning("push rejected late", extra={FIELDS: fields})


def begin(celery_logger: logging.Logger) -> None:
    """Write as JSON what goes through a logger's handlers, and log what becomes of pushes.

    Args:
        celery_logger: The root logger, as Celery has set it up.
    """
    formatter = JsonFormatter()
    for handler in celery_logger.handlers:
        handler.setFormatter(formatter)
    if not any(isinstance(observer, PushLog) for observer in observers.registered):
        observers.register(PushLog())


def _outcome(record: Tried) -> dict[str, Any]:
    if len(record.ends) == 1:
        [ended] = record.ends
        status = {} if ended.status is None else {"status": ended.status}
        return {"outcome": ended.end.value, "count": ended.count, "reason": ended.reason, **status}
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for ended in record.ends:
        outcomes[ended.end.value] += ended.count
        if ended.reason:
            reasons[ended.reason] += ended.count
    return {"outcomes": outcomes, "reasons": reasons}


def _task_of(record: logging.LogRecord) -> dict[str, Any]:
    data = getattr(record, "data", None)
    if isinstance(data, dict) and "id" in data:
        return {ours: data[name] for name, ours in _CELERY.items() if name in data}
    task: Any = current_task
    if task and task.request.id:
        return {"task": task.name, "task_id": task.request.id}
    return {}
