"""What our commands have in common: examples in their help, one line for a user's mistake."""

import argparse
from typing import Any

from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
)

from pushtasks.errors import PushError


class _HelpFormatter(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Leaves examples as they are written."""


class Command(BaseCommand):
    """A command whose mistakes are told in one line."""

    #: Command lines, each on a line of its own.
    examples: str

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Return the parser, with the examples at the end of its help."""
        lines = [f"  {prog_name} {line}" for line in self.examples.strip().splitlines()]
        epilog = "\n".join(["example:", *lines])
        return super().create_parser(
            prog_name, subcommand, formatter_class=_HelpFormatter, epilog=epilog, **kwargs
        )

    def execute(self, *args: Any, **options: Any) -> Any:
        """Run the command.

        Raises:
            CommandError: With the one line of whatever of ours went wrong.
        """
        try:
            return super().execute(*args, **options)
        except PushError as error:
            raise CommandError(str(error)) from None
