"""`manage.py push_feedback`: reads the feedback stream, where workers have no Django."""

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from django.core.management.base import CommandError
from django.db import Error, close_old_connections

from pushtasks import feedback
from pushtasks.adapters.django.feedback import take
from pushtasks.adapters.django.management.command import Command as OurCommand
from pushtasks.adapters.django.management.stopping import Stop
from pushtasks.feedback import Entry, StoreUnavailable

GROUP: Final = "django"
#: Entries of one transaction.
COUNT: Final = 100
#: Seconds that one read waits for news; and until the next try while Redis or a database is away.
WAIT: Final = 1.0
PAUSE: Final = 5.0


class Command(OurCommand):
    """Brings the tables of devices up to date, until it is stopped."""

    help = """Deactivate devices whose tokens are dead, replace tokens and send Django's
signals, by what is in the feedback stream. Workers that have Django do so by
themselves. An entry is acknowledged when the database has committed; until then
it comes again."""
    examples = """
push_feedback
push_feedback --once --verbosity 0
push_feedback --group django-eu
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what the command takes."""
        add = parser.add_argument
        add("--once", action="store_true", help="Take what is there, and end.")
        add("--group", default=GROUP, metavar="NAME", help=f"Who reads; default {GROUP}.")
        add(
            "--count",
            type=int,
            default=COUNT,
            help=f"Entries of one transaction at the most; default {COUNT}.",
        )

    def handle(self, **options: Any) -> None:
        """Read until stopped; with --once, until nothing new is left.

        Raises:
            CommandError: The command line cannot be used; with --once: Redis or a database is away,
                or a receiver of a signal has failed.
        """
        if options["count"] < 1:
            raise CommandError(f"--count: {options['count']} is too few; give 1 or more")
        if options["group"].startswith("pushtasks."):
            raise CommandError(f"--group: names like {options['group']!r} are ours; choose another")
        with Stop() as stop:
            if options["once"]:
                self._take_all(stop, options)
            else:
                self._take_for_ever(stop, options)

    def _take_all(self, stop: Stop, options: dict[str, Any]) -> None:
        failed = 0
        try:
            while not stop.is_asked and (taken := self._take(options)) is not None:
                failed += taken
        except Error as error:
            raise CommandError(_words(error)) from None
        if failed:
            raise CommandError(f"{failed} entries come again: receivers of Django's signals failed")

    def _take_for_ever(self, stop: Stop, options: dict[str, Any]) -> None:
        while not stop.is_asked:
            try:
                self._take(options, wait=WAIT)
            except (Error, StoreUnavailable) as error:
                self.stderr.write(f"{_words(error)}; it is tried again")
                stop.wait(PAUSE)

    def _take(self, options: dict[str, Any], wait: float = 0.0) -> int | None:
        """Take a batch; return how many of its entries come again, None if there is none."""
        close_old_connections()  # a database may have closed one that nobody has used for long
        batch = feedback.read(options["group"], count=options["count"], wait=wait)
        if not batch:
            return None
        done = take(batch)
        if done:
            batch.ack(*done)
        if options["verbosity"]:
            self.stdout.write(_told(batch))
        return len(batch) - len(done)


def _told(entries: Iterable[Entry]) -> str:
    counts = Counter(entry.kind.value.replace("_", " ") for entry in entries)
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


def _words(error: Exception) -> str:
    """Return the first line only: in others a database quotes rows, and so tokens."""
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}" if isinstance(error, Error) else first
