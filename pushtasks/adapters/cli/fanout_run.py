"""Runs a fan-out in the foreground: publishes it, watches it, and leaves it running on Ctrl-C."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import click
from celery import Celery

from pushtasks import fanout as api
from pushtasks.adapters.broker import (
    Unreachable,
    connect_broker,
    queue_of,
    queues_by_worker,
)
from pushtasks.adapters.cli.fanout_view import View, is_well, totals, totals_table
from pushtasks.adapters.cli.output import out, print_json, warn
from pushtasks.adapters.cli.stopping import stoppable
from pushtasks.chunks.mending import TASK
from pushtasks.errors import InvalidPush, PushError
from pushtasks.host import current_app
from pushtasks.store.fanout_state import Fanout, State

#: Seconds without a device that is done after which to ask whether there is a worker.
IMPATIENCE: Final = 3.0

#: Publishes a fan-out, given what to call with it now and then.
Publish = Callable[[Callable[[Fanout], None]], Fanout]


def run(publish: Publish, *, detach: bool, as_json: bool) -> None:
    """Publish a fan-out and, unless detached, wait until it is over; then show its totals.

    Args:
        publish: `fanout.start` or `fanout.resume`, all else given.
        detach: Return once all is published.
        as_json: End with a line of JSON.
    """
    app = current_app()
    require_broker(app)
    watcher = _Watcher(app)
    try:
        with stoppable(), watcher.view:
            fanout = publish(watcher.look)
            if not detach and not fanout.is_over:
                fanout = api.wait(fanout.id, progress=watcher.look)
    except KeyboardInterrupt:
        _stopped(watcher.view.last, as_json=as_json)
    except InvalidPush:
        raise
    except PushError as error:
        raise click.ClickException(_with_way_out(str(error), watcher.view.last)) from None
    else:
        end(fanout, detached=detach, as_json=as_json)


def watch(id_: str, *, timeout: float | None, as_json: bool, ends: bool) -> None:
    """Watch a fan-out until it is over, or until Ctrl-C.

    Args:
        id_: Of the fan-out.
        timeout: Seconds; None: as long as it takes.
        as_json: End with a line of JSON.
        ends: Let the exit status say what became of it.
    """
    watcher = _Watcher(current_app())
    try:
        with stoppable(), watcher.view:
            fanout = api.wait(id_, timeout, progress=watcher.look)
    except TimeoutError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        return
    if ends:
        end(fanout, detached=False, as_json=as_json)
    else:
        out().print(totals_table(fanout))


def end(fanout: Fanout, *, detached: bool, as_json: bool) -> None:
    """Show the totals; the exit status says whether all is well."""
    goes_on = detached and not fanout.is_over
    show_totals(fanout, as_json=as_json)
    if goes_on:
        _say_how_to_go_on(fanout)
    if not (is_well(fanout) or (goes_on and fanout.error is None)):
        raise SystemExit(1)


def show_totals(fanout: Fanout, *, as_json: bool) -> None:
    """Print the totals, and on standard error where there is more to know."""
    if as_json:
        print_json(totals(fanout))
    else:
        out().print(totals_table(fanout))
    if fanout.error:
        warn(f"the devices could not be read to the end: {fanout.error}")
    elif fanout.is_over and not fanout.devices:
        warn("there was no device: see that it is the file, or the key, that was meant")
    if fanout.failures and not as_json:
        warn(f"each device that failed, and why:  pushtasks fanout failures {fanout.id}")


def require_broker(app: Celery) -> None:
    """See that there is a broker before anything is begun."""
    try:
        connect_broker(app)
    except Unreachable as error:
        raise click.ClickException(
            f"broker {error}: start it, or correct PUSHTASKS_BROKER_URL"
        ) from None


class _Watcher:
    """Shows a fan-out, and says so once if nothing moves because no worker listens."""

    def __init__(self, app: Celery) -> None:
        self.view = View()
        self._app = app
        self._until: float | None = time.monotonic() + IMPATIENCE

    def look(self, fanout: Fanout) -> None:
        """Show how it stands."""
        self.view.show(fanout)
        if fanout.settled > fanout.invalid or fanout.is_over:
            self._until = None
        if self._until is None or time.monotonic() < self._until:
            return
        self._until = None
        queue = queue_of(self._app, self._app.tasks[TASK])
        if not any(queue in queues for queues in queues_by_worker(self._app).values()):
            warn(
                f"no worker answers on queue {queue}: start one with"
                "  celery -A pushtasks worker  (still waiting)"
            )


def _stopped(last: Fanout | None, *, as_json: bool) -> None:
    """Tell, after Ctrl-C, what goes on and what does not."""
    if last is None:
        raise click.Abort
    fanout = api.status(last.id)
    if as_json:
        print_json(totals(fanout))
    if not fanout.source_ended:
        warn(
            f"publishing has stopped after {fanout.devices:,} devices, which are sent all the same"
        )
        warn(f"go on with:  {_resume_command(fanout)}")
    _say_how_to_go_on(fanout)
    if not fanout.source_ended:
        raise SystemExit(1)


def _say_how_to_go_on(fanout: Fanout) -> None:
    if fanout.source_ended and fanout.state is State.RUNNING:
        warn(f"fan-out {fanout.id} goes on by itself, as long as there are workers")
    warn(f"watch it with:  pushtasks fanout status {fanout.id}")
    warn(f"cancel it with:  pushtasks fanout cancel {fanout.id}")


def _with_way_out(message: str, last: Fanout | None) -> str:
    if last is None or "resume" in message:
        return message
    return f"{message}; go on with  {_resume_command(last)}"


def _resume_command(fanout: Fanout) -> str:
    kind: Mapping[str, Any] = fanout.spec.source
    again = " --tokens -  (with the same devices)" if kind["kind"] in {"stream", "items"} else ""
    return f"pushtasks fanout resume {fanout.id}{again}"
