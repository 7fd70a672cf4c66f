"""The table of phones, as `manage.py makemigrations` has written it."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Phone",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "provider",
                    models.CharField(choices=[("apns", "Apple"), ("gcm", "Google")], max_length=4),
                ),
                (
                    "app",
                    models.CharField(
                        default="default", help_text="The app in the settings.", max_length=64
                    ),
                ),
                (
                    "token",
                    models.CharField(
                        help_text="Apple's device token, or Google's registration id.",
                        max_length=512,
                    ),
                ),
                (
                    "environment",
                    models.CharField(
                        blank=True,
                        choices=[("production", "production"), ("sandbox", "sandbox")],
                        default="",
                        help_text="Apple only, and only if it is not the app's own.",
                        max_length=10,
                    ),
                ),
                (
                    "registered_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now,
                        help_text="When the device last said that this is its token.",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(default=True, help_text="Whether pushes are sent to it."),
                ),
                (
                    "inactive_reason",
                    models.CharField(
                        blank=True,
                        default="",
                        editable=False,
                        help_text="Why the provider called the token dead, in its own words.",
                        max_length=64,
                    ),
                ),
                ("owner", models.CharField(max_length=100)),
            ],
            options={
                "abstract": False,
                "default_permissions": ("add", "change", "delete", "view", "push"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("provider", "app", "token"), name="phones_phone_token"
                    )
                ],
            },
        ),
    ]
