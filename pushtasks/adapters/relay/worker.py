"""The worker of a relay that is alone with gapless's settings; run by `own_worker`.

    python -m pushtasks.adapters.relay.worker

Its first line of standard input says what to do, so that no file and no command line has it. When
its standard input ends, for whatever reason, so does the worker, as soon as it is done with what it
has begun.
"""

import json
import os
import signal
import sys
import threading

from pushtasks.adapters.relay.gapless import GaplessSettings
from pushtasks.adapters.relay.standalone import own_celery_app
from pushtasks.errors import InvalidSettings


def main() -> None:
    """Run the worker until it is told to stop, or nobody is left to tell."""
    order = json.loads(sys.stdin.readline())
    settings = GaplessSettings.model_validate(order["settings"])
    try:
        celery_app = own_celery_app(settings, order["redis_url"])
    except InvalidSettings as error:  # they were right when the relay began
        raise SystemExit(f"pushtasks: {error}") from None
    threading.Thread(target=_end_with_starter, daemon=True).start()
    alone = ["--without-gossip", "--without-mingle"]
    name = ["--hostname", f"relay-{os.getpid()}@%h"]
    celery_app.start(["--quiet", "worker", "--loglevel", "INFO", *alone, *name])


def _end_with_starter() -> None:
    while sys.stdin.readline():
        continue
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
