"""What gapless's settings alone ask for: a relay with a worker of its own, and no other settings.

Both use the Redis of the list. What Celery keeps there has the list's key in its name
(`LIST:pushtasks:broker:…`), so that it gets in nobody's way; reports and the feedback stream are
where they always are.
"""

from types import MappingProxyType
from typing import Final

from celery import Celery

import pushtasks.tasks  # noqa: F401, every Celery app gets them
from pushtasks import celery_defaults
from pushtasks.adapters.relay.gapless import PATHS, GaplessSettings
from pushtasks.apns.certificate import app_certificate
from pushtasks.apns.gateway import tls_context
from pushtasks.celery_loader import completed
from pushtasks.config import ApnsApp, Settings, use_settings
from pushtasks.errors import InvalidSettings
from pushtasks.wire.apns_binary import ENHANCED

#: Tasks that the worker runs at a time; each is a batch, and all share a few connections.
CONCURRENCY: Final = 16
#: Seconds until a task is handed out again whose worker was killed: well over what a batch takes.
VISIBILITY_TIMEOUT: Final = 120


def own_app(settings: GaplessSettings) -> ApnsApp:
    """Return the app that the worker sends for; it is called as the list is.

    Raises:
        InvalidSettings: Nothing can be sent: the certificate or the authorities cannot be used, or
            the gateway is one that Apple has switched off.
    """
    if settings.is_switched_off:
        raise InvalidSettings(
            f"apns_server: Apple has switched {settings.apns_server} off on 31 March 2021; hand the"
            " entries over to an app that speaks HTTP/2, with --app NAME, or name a gateway of your"
            " own (ca_file names its authority)"
        )
    for key in PATHS:
        path = getattr(settings, key)
        if path is not None and not path.is_file():
            raise InvalidSettings(
                f"{key}: there is no file {path}; correct the path, which is relative to the"
                " settings file"
            )
    app = ApnsApp.model_validate(
        {
            "name": settings.redis_queue_key,
            "protocol": "binary",
            "certificate": str(settings.apns_cert_path),
            "certificate_key": str(settings.apns_key_path),
            "ca_file": settings.ca_file,
            "gateway": settings.apns_server,
            "pool_size": settings.pool_size,
            "command": ENHANCED,  # what gapless speaks, every gateway of its users understands
            "log_successes": settings.log_successes,
        }
    )
    try:
        tls_context(app, app_certificate(app))
    except InvalidSettings as error:
        raise InvalidSettings(_in_words_of_gapless(str(error), app.name)) from None
    return app


def _in_words_of_gapless(message: str, name: str) -> str:
    """Name settings as the file has them that the user wrote."""
    for own, key in (("certificate_key", "apns_key_path"), ("certificate", "apns_cert_path")):
        message = message.replace(f"apns.{name}.{own}", key)
    return message.replace("certificate_key", "apns_key_path")


def own_celery_app(settings: GaplessSettings, redis_url: str) -> Celery:
    """Return the Celery app that relay and worker share; files and environment do not matter.

    Args:
        settings: Those of gapless.
        redis_url: Of the Redis that has the list.

    Raises:
        InvalidSettings: As `own_app`.
    """
    app = own_app(settings)
    prefix = {"global_keyprefix": f"{settings.redis_queue_key}:pushtasks:broker:"}
    own = {
        "broker_url": redis_url,
        "result_backend": None,  # nobody has the tasks' ids
        "broker_transport_options": {**prefix, "visibility_timeout": VISIBILITY_TIMEOUT},
        "broker_connection_max_retries": None,
        "worker_concurrency": CONCURRENCY,
        "beat_schedule": {},
    }
    defaults = {name: getattr(celery_defaults, name) for name in celery_defaults.__all__}
    celery_app = Celery("pushtasks-relay", set_as_current=False)
    celery_app.config_from_object(completed({**defaults, **own}, {}, ["worker"]))
    use_settings(
        celery_app,
        Settings(
            apns=MappingProxyType({app.name: app}),
            gcm=MappingProxyType({}),
            directory=settings.apns_cert_path.parent,
            redis_url=redis_url,
        ),
    )
    return celery_app
