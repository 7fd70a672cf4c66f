"""Settings: one frozen object for each app, checked when read.

They come, key by key and first wins, from the Celery setting `pushtasks`, a TOML file and the
environment (`sources`), into the shape that `apps` describes; `mistakes` tells what is wrong.
Nothing here opens a key or certificate, so that a web process needs none to hand pushes to workers.
"""

from pushtasks.config.apps import ApnsApp, FeedbackSettings, GcmApp
from pushtasks.config.settings import (
    Settings,
    current_settings,
    load_settings,
    mistakes_in,
    read_settings,
    settings_read_by,
    use_settings,
)

__all__ = [
    "ApnsApp",
    "FeedbackSettings",
    "GcmApp",
    "Settings",
    "current_settings",
    "load_settings",
    "mistakes_in",
    "read_settings",
    "settings_read_by",
    "use_settings",
]
