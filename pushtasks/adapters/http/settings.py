"""How a service is set up by the environment: variables that begin with PUSHTASKS_SERVE_."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pushtasks.adapters.http.keys import ApiKeys
from pushtasks.adapters.http.state import Options
from pushtasks.errors import InvalidSettings

PREFIX: Final = "PUSHTASKS_SERVE_"
KEYS: Final = f"{PREFIX}KEYS"
KEYS_FILE: Final = f"{PREFIX}KEYS_FILE"
HOSTS: Final = f"{PREFIX}ALLOWED_HOSTS"
GCM_APP: Final = f"{PREFIX}GCM_APP"
RATE: Final = f"{PREFIX}RATE"
#: For `pushtasks.adapters.http.wsgi`, which cannot see where its server listens.
OPEN: Final = f"{PREFIX}WITHOUT_KEYS"
KNOWN: Final = (KEYS, KEYS_FILE, HOSTS, GCM_APP, RATE, OPEN)


def options_from(environ: Mapping[str, str] = os.environ) -> Options:
    """Return what the environment says; what it does not say is as `Options` has it.

    Raises:
        InvalidSettings: A variable cannot be used, or is unknown.
    """
    unknown = [name for name in environ if name.startswith(PREFIX) and name not in KNOWN]
    foreign = (f"{PREFIX}SERVICE_", f"{PREFIX}PORT")  # Kubernetes' own, for a service of our name
    if mistaken := [name for name in unknown if not name.startswith(foreign)]:
        raise InvalidSettings(f"{mistaken[0]}: unknown variable; there are {', '.join(KNOWN)}")
    return Options(
        gcm_app=environ.get(GCM_APP) or Options().gcm_app,
        api_keys=read_keys(environ.get(KEYS_FILE), environ.get(KEYS, "")),
        hosts=tuple(environ.get(HOSTS, "").lower().replace(",", " ").split()),
        rate=_rate(environ.get(RATE) or "0"),
    )


def read_keys(path: str | None, listed: str = "") -> ApiKeys:
    """Return the hashes of keys in a file, a line each, and of those in a list.

    Args:
        path: Of the file, if any.
        listed: Hashes, parted by commas or white space.

    Raises:
        InvalidSettings: The file cannot be read or has no hash, or something in it is none.
    """
    lines = listed.replace(",", " ").split()
    if path is None or not path:
        return ApiKeys.parse(lines)
    try:
        written = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InvalidSettings(f"file of API keys {path!r} cannot be read ({reason})") from None
    if not ApiKeys.parse(written):
        raise InvalidSettings(
            f"file of API keys {path!r} has none; add the hash of one, made with"
            "  pushtasks serve --new-key"
        )
    return ApiKeys.parse([*written, *lines])


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not (math.isfinite(rate) and rate >= 0):
        raise InvalidSettings(f"{RATE}: {text!r} is no number of requests a second; 0: no limit")
    return rate
