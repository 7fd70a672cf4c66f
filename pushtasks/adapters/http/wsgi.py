"""The application for any server of WSGI, set up by the environment.

    PUSHTASKS_SERVE_KEYS=sha256:… gunicorn --threads 8 pushtasks.adapters.http.wsgi:app

Where such a server listens cannot be seen from here. So it wants keys, or
PUSHTASKS_SERVE_WITHOUT_KEYS=1 from somebody who sees to it that nobody else can reach it.
"""

import os
import sys
from collections.abc import Mapping
from typing import Final

from flask import Flask

from pushtasks.adapters.http.app import create_app
from pushtasks.adapters.http.publishing import bound_waiting
from pushtasks.adapters.http.settings import KEYS, OPEN, options_from
from pushtasks.errors import InvalidSettings
from pushtasks.host import current_app

#: The status by which gunicorn sees that to start another worker is of no use.
BOOT_ERROR: Final = 3


def make_app(environ: Mapping[str, str] = os.environ) -> Flask:
    """Make the application.

    Raises:
        InvalidSettings: A variable cannot be used, or there is no API key.
    """
    options = options_from(environ)
    if not options.api_keys and environ.get(OPEN) != "1":
        raise InvalidSettings(
            f"{KEYS}: not set; make a key with  pushtasks serve --new-key  and set its hash, or set"
            f" {OPEN}=1 if nobody else can reach the server"
        )
    celery_app = current_app()
    bound_waiting(celery_app)
    return create_app(celery_app, options)


try:
    app: Final = make_app()
except InvalidSettings as wrong:  # to be read by whoever starts the server
    sys.stderr.write(f"pushtasks: {wrong}\n")
    raise SystemExit(BOOT_ERROR) from None
