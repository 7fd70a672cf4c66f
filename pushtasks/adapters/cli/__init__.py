"""The command line: `pushtasks`.

Exit status: 0, all is well; 1, something was rejected, failed or found wrong; 2, wrong use, which
includes settings that cannot be used. What a user did wrong is told in a line on standard error.
"""

from typing import Final

import click

from pushtasks.adapters.cli.lazy import LazyGroup

#: Name, which is also that of its module, and what it does.
COMMANDS: Final = {
    "demo": "Send pushes on this machine alone, and show what becomes of them.",
    "up": "Run a broker, pretend providers and a worker, to try things on.",
    "emulator": "Run a pretend Apple and Google.",
    "send": "Send a push to devices.",
    "fanout": "Send a payload to any number of devices; watch and steer that.",
    "serve": "Take pushes by HTTP, and show a page.",
    "relay": "Take pushes from a Redis list, as gapless did.",
    "report": "Show what became of all pushes, over all workers.",
    "feedback": "Show or hand on what providers told about devices: dead tokens, replaced ids.",
    "check": "Check settings, keys, connections, broker and workers.",
    "channels": "Manage Apple's broadcast channels, and broadcast to them.",
}


@click.group(
    cls=LazyGroup,
    package=__name__,
    summaries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with:  pushtasks demo",
)
@click.version_option(package_name="pushtasks", message="%(prog)s %(version)s")
def main() -> None:
    """Push notifications as Celery tasks.

    Settings are read from pushtasks.toml (or the file that PUSHTASKS_CONFIG names), and the broker
    from PUSHTASKS_BROKER_URL.
    """
