"""Phones in the admin."""

from django.contrib import admin

from phones.models import Phone
from pushtasks.adapters.django.admin import DeviceAdmin


@admin.register(Phone)
class PhoneAdmin(DeviceAdmin):
    """With the action that sends a push."""

    list_display = ("owner", *DeviceAdmin.list_display)
    list_display_links = ("owner", "masked_token")
