"""What Django learns about us when it starts."""

from django.apps import AppConfig
from django.core import checks


class PushtasksConfig(AppConfig):
    """Checks the settings, and keeps tokens up to date in workers that have Django."""

    name = "pushtasks.adapters.django"
    #: The last part of the name, Django's default, would be `django`.
    label = "pushtasks"
    verbose_name = "Push notifications"

    def ready(self) -> None:
        """Register the checks, and listen to what workers learn about devices."""
        from pushtasks.adapters.django import feedback  # noqa: PLC0415, models are loaded by now
        from pushtasks.adapters.django.checks import check_settings  # noqa: PLC0415

        checks.register(check_settings, "pushtasks")
        feedback.connect()
