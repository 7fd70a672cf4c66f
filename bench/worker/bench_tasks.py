"""Tasks to compare ours with: two that send nothing, and what people write around other clients.

The clients live as long as the process, as ours do. Where they send to stands in `BENCH_NEAR` and
`BENCH_FAR`, in the arguments that clients on their own get.
"""

import asyncio
import json
import os
import threading
import time
from functools import cache

import firebase_admin
from aioapns import APNs, NotificationRequest
from aioapns_client import make_client
from celery import shared_task
from common import Job, parse_job
from firebase_admin import messaging
from firebase_sink import initialize

_lock = threading.Lock()


@shared_task(name="bench.nothing")
def nothing(_token: str, _text: str) -> bool:
    return True


@shared_task(name="bench.waiting")
def wait(_token: str, _text: str, *, seconds: float) -> bool:
    time.sleep(seconds)
    return True


@shared_task(name="bench.aioapns")
def send_with_aioapns(token: str, text: str, *, app: str) -> bool:
    with _lock:
        loop, client = _aioapns(app)
    request = NotificationRequest(device_token=token, message={"aps": {"alert": text}})
    sending = asyncio.run_coroutine_threadsafe(client.send_notification(request), loop)
    return bool(sending.result().is_successful)


@shared_task(name="bench.firebase_admin")
def send_with_firebase_admin(token: str, text: str, *, app: str) -> str:
    with _lock:
        firebase = _firebase(app)
    notification = messaging.Notification(body=text)
    return str(
        messaging.send(messaging.Message(token=token, notification=notification), app=firebase)
    )


@cache
def _aioapns(app: str) -> tuple[asyncio.AbstractEventLoop, APNs]:
    """Return this process's client and the event loop, in a thread of its own, that it lives in."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    making = asyncio.run_coroutine_threadsafe(make_client(_job(app)), loop)
    return loop, making.result()


@cache
def _firebase(app: str) -> firebase_admin.App:
    job = _job(app)
    return initialize(job.fcm_url, str(job.service_account))


def _job(app: str) -> Job:
    return parse_job(json.loads(os.environ[f"BENCH_{app.upper()}"]))
