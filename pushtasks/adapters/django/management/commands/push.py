"""`manage.py push`: a push to devices in the database."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from django.apps import apps
from django.core.exceptions import FieldError, ValidationError
from django.core.management.base import CommandError

from pushtasks import fanout
from pushtasks.adapters.django import pushing
from pushtasks.adapters.django.feedback import device_models
from pushtasks.adapters.django.management.command import Command as OurCommand
from pushtasks.fanout import Fanout
from pushtasks.store.fanout_state import OUTCOMES

#: Options that are handed on as they are, if they are given.
HANDED_ON: Final = ("topic", "push_type", "priority", "expiration", "collapse_id", "dry_run")
#: A lookup of Django's whose value is a list.
_LIST: Final = "__in"


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

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what the command takes."""
        add = parser.add_argument
        add("text", nargs="?", help="The text to show.")
        add("--payload", metavar="FILE|-|JSON", help="Instead of a text: the payload.")
        add("--model", metavar="APP.MODEL", help="The devices; needed if there are several models.")
        add("--filter", action="append", default=[], metavar="FIELD=VALUE", help=_FILTER_HELP)
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
        devices = _devices(options["model"], options["filter"])
        fanouts = self._started(devices, options)
        if not fanouts:
            self.stderr.write("No active device: nothing was sent.")
        for one in fanouts:
            self.stdout.write(f"fan-out {one.id}: {pushing.told(one)}")
        if not options["detach"] and not self._all_accepted(fanouts):
            sys.exit(1)

    def _started(self, devices: Any, options: dict[str, Any]) -> tuple[Fanout, ...]:
        if options["resume"]:
            return (pushing.resume(devices, options["resume"]),)
        given = {name: options[name] for name in HANDED_ON if options[name] is not None}
        payload = _payload(options["text"], options["payload"])
        return pushing.push(devices, payload, {**given, "key": options["key"]})

    def _all_accepted(self, fanouts: Iterable[Fanout]) -> bool:
        ended = [fanout.wait(one.id) for one in fanouts]
        for one in ended:
            counts = {name: getattr(one, name) for name in OUTCOMES}
            told = [
                f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count
            ]
            self.stdout.write(f"fan-out {one.id}: {', '.join(told) or 'nothing'}")
            if one.failures:
                self.stderr.write(f"each failure, and why:  pushtasks fanout failures {one.id}")
        return all(one.accepted == one.devices and one.error is None for one in ended)


_FILTER_HELP: Final = (
    "A lookup of Django's, once or more; the values of …__in have commas in between."
)


def _devices(label: str | None, filters: Iterable[str]) -> Any:
    lookups = dict(_lookup(text) for text in filters)
    try:
        return _model(label)._base_manager.filter(**lookups)
    except (FieldError, ValidationError, ValueError) as error:
        raise CommandError(f"--filter: {_words(error)}") from None


def _lookup(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise CommandError(f"--filter: {text!r} is no FIELD=VALUE, such as provider=apns")
    return name, value.split(",") if name.endswith(_LIST) else value


def _model(label: str | None) -> Any:
    models = {model._meta.label: model for model in device_models()}
    if label is None and len(models) == 1:
        return next(iter(models.values()))
    known = f"there are {', '.join(models)}" if models else "no installed model inherits Device"
    if label is None:
        raise CommandError(f"--model: which one? {known}")
    try:
        found = apps.get_model(label)
    except (LookupError, ValueError):
        found = None
    if found not in models.values():
        raise CommandError(f"--model: {label!r} is no model of devices; {known}")
    return found


def _payload(text: str | None, payload: str | None) -> Any:
    if (text is None) == (payload is None):
        raise CommandError("give a text, or --payload, and not both")
    if payload is None:
        return text
    try:
        return json.loads(_content(payload))
    except (ValueError, RecursionError) as error:
        raise CommandError(f"--payload: this is not JSON: {_words(error)}") from None


def _content(payload: str) -> str:
    if payload.lstrip().startswith(("{", '"')):
        return payload
    if payload == "-":
        return sys.stdin.read()
    try:
        return Path(payload).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(
            f"--payload: {payload!r} cannot be read ({error.strerror}): give a file, - or JSON"
        ) from None


def _words(error: Exception) -> str:
    return " ".join(getattr(error, "messages", None) or str(error).split("\n"))
