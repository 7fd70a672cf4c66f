"""As whom the apps send, and for how long still: read from their keys and certificates.

Files are read again after a while, so that one that was changed shows.
"""

from datetime import datetime
from functools import lru_cache
from typing import Final

from pushtasks.adapters.http.page.snapshot import Credential
from pushtasks.apns.certificate import app_certificate
from pushtasks.config import ApnsApp, GcmApp
from pushtasks.errors import InvalidSettings
from pushtasks.fcm.client import service_account
from pushtasks.keyfiles import load_private_key, read_key_material

#: Seconds for which a file is not read again.
KEPT: Final = 60
#: Apps whose credentials are kept; more of them are read each time.
_LIMIT: Final = 256


def credential(app: ApnsApp | GcmApp, now: datetime) -> Credential:
    """Return as whom an app sends; what is wrong with its key or certificate is told in it."""
    return _credential(app, int(now.timestamp() // KEPT))


@lru_cache(maxsize=_LIMIT)
def _credential(app: ApnsApp | GcmApp, _: int) -> Credential:
    kind = _kind(app)
    try:
        return _of_apns(kind, app) if isinstance(app, ApnsApp) else _of_gcm(kind, app)
    except InvalidSettings as error:
        return Credential(kind, problem=str(error))


def _kind(app: ApnsApp | GcmApp) -> str:
    if isinstance(app, ApnsApp):
        return "Certificate" if app.certificate else "Key"
    return "API key" if app.protocol == "legacy" else "Service account"


def _of_apns(kind: str, app: ApnsApp) -> Credential:
    if app.certificate:
        certificate = app_certificate(app)
        name = ", ".join(certificate.topics) or f"SHA-256 {certificate.fingerprint[:12]}…"
        return Credential(kind, name, expires=certificate.expires)
    setting = f"apns.{app.name}.key"
    written = app.key.get_secret_value() if app.key else ""
    load_private_key(read_key_material(written, setting=setting), setting=setting)
    return Credential(kind, f"{app.key_id} of team {app.team_id}")


def _of_gcm(kind: str, app: GcmApp) -> Credential:
    if app.protocol == "legacy":
        return Credential(kind)
    return Credential(kind, str(service_account(app).get("client_email", "")))
