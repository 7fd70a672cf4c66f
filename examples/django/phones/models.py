"""What this project knows of a device, beside what a push needs."""

from django.db import models

from pushtasks.adapters.django.models import Device


class Phone(Device):
    """A phone and whose it is; in a project of yours more likely a foreign key to a user."""

    owner = models.CharField(max_length=100)
