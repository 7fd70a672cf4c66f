"""`manage.py push`: a push to devices in the database."""

import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any, Final

from pushtasks import fanout
from pushtasks.adapters.django import pushing
from pushtasks.adapters.django.management.choosing import chosen_devices, chosen_payload
from pushtasks.adapters.django.management.command import Command as OurCommand
from pushtasks.fanout import Fanout
from pushtasks.store.fanout_state import OUTCOMES

#: Options that are handed on as they are, if they are given.
HANDED_ON: Final = ("topic", "push_type", "priority", "expiration", "collapse_id", "dry_run")


class Command(OurCommand):
    """Sends a push to the active devices that filters leave."""

    help = """Send a push to the active devices of a model, of any number, and wait for the
workers. Exit status 1 says that a device was not accepted."""
    examples = """
push "Snow tomorrow" --filter owner__city=Lyon
push --payload payload.json --filter provider=apns --priority 5 --key news-42
push --model phones.Phone "Hello" --detach
push --resume ID --filter owner__city=Lyon
"""
    #: The fan-out that is published, as it stood when it was last seen.
    _latest: Fanout | None = None

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what the command takes."""
        add = parser.add_argument
        add("text", nargs="?", help="The text to show.")
        add("--payload", metavar="FILE|-|JSON", help="Instead of a text: the payload.")
        add("--model", metavar="APP.MODEL", help="The devices; needed if there are several models.")
        add(
            "--filter",
            action="append",
            default=[],
            metavar="FIELD=VALUE",
            help="A lookup of Django's, once or more; the values of …__in have commas in between.",
        )
        add("--topic", help="Apple: bundle id, instead of the app's own.")
        add("--push-type", help="Apple: one of Apple's; else it follows from the payload.")
        add("--priority", type=int, help="Apple: 10, 5 or 1.")
        add("--expiration", type=float, metavar="SECONDS", help="Apple: how long to keep it.")
        add("--collapse-id", help="Apple: a newer push with the same takes an older one's place.")
        add("--dry-run", action="store_true", default=None, help="Google: check, do not deliver.")
        add("--key", help="A name of your choice: the same again is not sent again.")
        add("--detach", action="store_true", help="Return once all is with the broker.")
        add("--resume", metavar="ID", help="Go on with a fan-out that was stopped.")

    def handle(self, **options: Any) -> None:
        """Send, and tell what became of it.

        Raises:
            CommandError: The command line cannot be used.
        """
        devices = chosen_devices(options["model"], options["filter"])
        try:
            fanouts = self._started(devices, options)
            if not fanouts:
                self.stderr.write("No active device: nothing was sent.")
            if not options["detach"] and not self._all_accepted(fanouts):
                sys.exit(1)
        except KeyboardInterrupt:
            self._say_how_to_go_on()
            sys.exit(1)

    def _started(self, devices: Any, options: dict[str, Any]) -> tuple[Fanout, ...]:
        if options["resume"]:
            return (pushing.resume(devices, options["resume"], progress=self._tell),)
        given = {name: options[name] for name in HANDED_ON if options[name] is not None}
        payload = chosen_payload(options["text"], options["payload"])
        steering = {"key": options["key"], "progress": self._tell}
        return pushing.push(devices, payload, {**given, **steering})

    def _tell(self, one: Fanout) -> None:
        """Name a fan-out as soon as it has begun."""
        if self._latest is None or self._latest.id != one.id:
            self.stdout.write(f"fan-out {one.id}: to {one.spec.provider}/{one.spec.app}")
        self._latest = one

    def _all_accepted(self, fanouts: Iterable[Fanout]) -> bool:
        ended = [fanout.wait(one.id) for one in fanouts]
        for one in ended:
            counts = {name.replace("_", " "): getattr(one, name) for name in OUTCOMES}
            told = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
            self.stdout.write(f"fan-out {one.id}: {pushing.told(one)}: {told or 'none'}")
            if one.failures:
                self.stderr.write(f"each failure, and why:  pushtasks fanout failures {one.id}")
        return all(one.accepted == one.devices and one.error is None for one in ended)

    def _say_how_to_go_on(self) -> None:
        """Tell, after Ctrl-C, what goes on and what does not."""
        if self._latest is None:
            self.stderr.write("Stopped: nothing was sent.")
            return
        latest = fanout.status(self._latest.id)
        way = (
            f"watch it with  pushtasks fanout status {latest.id}"
            if latest.source_ended
            else f"publish the rest with  push --resume {latest.id}  and the same filters"
        )
        self.stderr.write(f"Stopped; what is with the workers is sent: {way}")
