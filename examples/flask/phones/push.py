"""Pushing, and what becomes of it."""

from celery import shared_task

from phones import devices
from phones.devices import Device
from pushtasks import InvalidPush, send_apns, send_gcm
from pushtasks.adapters.flask import PushTasks
from pushtasks.feedback import Entry, still_dead

push = PushTasks()

TASKS = {"apns": send_apns, "gcm": send_gcm}
ON_ITS_WAY = "on its way"


def send(device: Device, text: str) -> None:
    """Hand a push to the workers.

    Raises:
        pushtasks.InvalidPush: It could not be sent.
    """
    before = device.last_push
    devices.note(device.id, ON_ITS_WAY)
    try:
        TASKS[device.provider].apply_async(
            (device.token, text), link=push_done.s(device.id), link_error=push_failed.s(device.id)
        )
    except InvalidPush:
        devices.note(device.id, before)
        raise


@shared_task
def push_done(result: dict, device_id: int) -> None:
    """Show what became of a push; a worker calls this."""
    devices.note(device_id, result["reason"] or result["outcome"])


@shared_task
def push_failed(_request: object, error: Exception, _traceback: object, device_id: int) -> None:
    """Show that a push was given up; a worker calls this."""
    devices.note(device_id, str(error))


@push.token_expired
def deactivate(entry: Entry) -> None:
    """Push no more to a device that is gone, unless it has registered since."""
    device = devices.find(entry.provider, entry.token)
    if device and still_dead(entry, device.registered_at):
        devices.deactivate(device.id, entry.reason)


@push.token_replaced
def rename(entry: Entry) -> None:
    """Go by the registration id that takes another one's place."""
    device = devices.find(entry.provider, entry.token)
    if device:
        devices.rename(device.id, entry.canonical_id)
