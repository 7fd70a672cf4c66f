"""A group of commands, each in a module that is imported when it is called."""

import sys
from collections.abc import Mapping
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import click

from pushtasks.errors import InvalidPush, InvalidSettings, PushError


class LazyGroup(click.Group):
    """Lists its commands without importing them, and turns our errors into a line for the user."""

    def __init__(
        self, *args: Any, package: str, summaries: Mapping[str, str], **options: Any
    ) -> None:
        """Make a group.

        Args:
            args: As of `click.Group`.
            package: Holds a module for each command, with the command as its `command`.
            summaries: What each command does, in a line, by name.
            options: As of `click.Group`.
        """
        super().__init__(*args, **options)
        self._package = package
        self._summaries = summaries

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return all names, in the order of use."""
        return list(self._summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in self._summaries:
            return None
        command: click.Command = import_module(f"{self._package}.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what it raises on purpose is for the user to read."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):  # a terminal may lack our ✓
                stream.reconfigure(errors="replace")
        try:
            return super().invoke(ctx)
        except (InvalidPush, InvalidSettings) as error:
            raise WrongUse(str(error)) from None
        except PushError as error:
            raise click.ClickException(str(error)) from None


class WrongUse(click.ClickException):
    """A mistake of the user's that no single option can be named for."""

    exit_code = 2
