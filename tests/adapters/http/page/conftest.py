"""A page over a real Redis, served over real HTTP, and a real browser that looks at it."""

import math
import os
import threading
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from flask import Flask
from werkzeug.serving import make_server

import pushtasks.tasks  # noqa: F401, every Celery app gets them
from pushtasks.adapters.http import create_app
from pushtasks.news import Kind, News, Tally
from pushtasks.store import current_store, keys
from pushtasks.store.fanout_state import Spec
from pushtasks.store.rates import Limit

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
#: Settings that name a file.
PATHS = {"key", "certificate", "certificate_key", "credentials", "ca_file"}
#: What must never be seen on the page.
PAYLOAD = "nobody's business"


@pytest.fixture
def make_celery_app(redis_server):
    """(apps as in the TOML file, redis URL) → a Celery app that is the current one."""
    made = []

    def make(apps=None, url=None):
        app = Celery("page", set_as_current=False)
        app.conf.update(
            broker_url="memory://",
            result_backend="cache+memory://",
            pushtasks={**(apps or {}), "redis_url": url or redis_server.url()},
        )
        app.set_current()
        made.append(app)
        return app

    redis_server.flush()
    yield make
    for app in made:
        app.close()


@pytest.fixture
def serve():
    """(Celery app or Flask application, HTTP options) → the URL at which it is served."""
    servers = []

    def start(app, options=None):
        application = app if isinstance(app, Flask) else create_app(app, options)
        server = make_server("127.0.0.1", 0, application, threaded=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.fixture(scope="module")
def browser():
    """Chromium, without a window; while it runs nothing else in this thread can use asyncio."""
    if not CHROMIUM.exists():
        missing = f"no browser: {CHROMIUM} is missing; apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    from playwright.sync_api import sync_playwright  # noqa: PLC0415, needs its own driver

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def visit(browser):
    """(URL, options of a browser context) → its page in a browser, loaded."""
    contexts = []

    def open_(url, **options):
        context = browser.new_context(**options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.messages = []
        page.on("console", lambda message: page.messages.append(message.text))
        page.on("pageerror", lambda error: page.messages.append(str(error)))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()


@dataclass(frozen=True)
class Filler:
    """Writes into Redis what workers write, and what they would have written before now."""

    store: Any
    client: Any

    def sent(self, provider, app, accepted, rejected=None, **counts):
        """Count pushes that ended now."""
        attempts = accepted + sum((rejected or {}).values())
        environment = "production" if provider == "apns" else ""
        self.store.note(
            Tally(
                *(provider, app, environment),
                attempts=attempts,
                accepted=accepted,
                rejected=rejected or {},
                **counts,
            )
        )

    def told(self, kind, provider, app, device, **more):
        """Put news of a device on the stream."""
        ago = timedelta(minutes=more.pop("ago", 0))
        self.store.record([News(kind, provider, app, device, datetime.now(UTC) - ago, **more)])

    def hour(self, provider, app, counts):
        """Say what became of pushes in the last hour: (minutes ago) → (accepted, rejected, …)."""
        now = self.client.time()[0] // 60
        for ago in range(60):
            slot = keys.minutes(provider, app, (now - ago) // keys.MINUTES_SLOT)
            for kind, count in zip(("accepted", "rejected", "unsent"), counts(ago), strict=False):
                self.client.hset(slot, f"{now - ago}:{kind}", count)

    def fanout(self, provider="apns", app="default", *, ago=0, counts=None, **spec):
        """Begin a fan-out that has a publisher and has counted something; return its id."""
        id_, _ = self.store.fanouts.create(Spec(provider, app, PAYLOAD, **spec))
        self.store.fanouts.claim(id_, "publisher", 600)
        began = 1000 * (self.client.time()[0] - 60 * ago)
        self.client.hset(keys.fanout(id_), mapping={**(counts or {}), "created_at": began})
        self.client.zadd(keys.FANOUTS, {id_: began})
        return id_


@pytest.fixture
def fill(redis_server):
    """(Celery app) → what writes into its Redis."""
    with redis.Redis.from_url(redis_server.url(), decode_responses=True) as client:
        yield lambda celery_app: Filler(current_store(celery_app), client)


@pytest.fixture
def certificate(tmp_path):
    """(days left, name) → the path of a certificate with its key."""

    def make(days, name="com.example.app"):
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.USER_ID, name)])
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=400))
            .not_valid_after(now + timedelta(days=days, minutes=1))
            .sign(key, SHA256())
        )
        path = tmp_path / f"{name}.pem"
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(pem + made.public_bytes(Encoding.PEM))
        return str(path)

    return make


@pytest.fixture
def emulator_apps(emulator):
    """The apps of the emulator's settings, from any folder."""
    written = tomllib.loads((emulator.directory / "pushtasks.toml").read_text())
    return {
        provider: {
            name: {
                key: str(emulator.directory / value) if key in PATHS else value
                for key, value in app.items()
            }
            for name, app in apps.items()
        }
        for provider, apps in written.items()
    }


@pytest.fixture
def busy(make_celery_app, fill, emulator_apps, certificate):
    """A Celery app of which everything is to be told; and what has filled its Redis."""
    apns = {
        **emulator_apps["apns"],
        "billing": {
            "topic": "com.example.billing",
            "certificate": certificate(12, "com.example.billing"),
        },
        "lost-key": {
            "topic": "com.example.lost",
            "key": "lost.p8",
            "key_id": "ABC1234567",
            "team_id": "TEAM123456",
        },
    }
    apns["default"]["rate"] = "9000/s"
    celery_app = make_celery_app({"apns": apns, "gcm": emulator_apps["gcm"]})
    filler = fill(celery_app)
    _send(filler)
    _tell(filler)
    return celery_app, filler


def _send(filler):
    def wave(size, share=0.01, unsent=0):
        return lambda ago: (
            int(size * (1.2 + math.sin(ago / 7) + 0.2 * math.sin(ago * 1.7))),
            int(size * share * (1 + ago % 5)),
            unsent if 20 < ago < 24 else 0,
        )

    filler.sent("apns", "default", 1_204_518, {"Unregistered": 18_204, "BadDeviceToken": 311})
    filler.sent(
        "apns",
        "default",
        0,
        {"PayloadTooLarge": 40, "DeviceTokenNotForTopic": 7, "TopicDisallowed": 2},
    )
    filler.sent("apns", "billing", 48_001, {"Unregistered": 96}, pending=1200)
    long = "a reason that goes on and on as only a private relay can say it, " * 2
    filler.sent(
        "gcm", "default", 830_222, {"UNREGISTERED": 9120, long: 3}, not_sent=12, canonical_ids=0
    )
    filler.sent("gcm", "classic", 20_400, {"NotRegistered": 80}, canonical_ids=51)
    filler.hour("apns", "default", wave(4200))
    filler.hour("apns", "billing", wave(160, 0.02))
    filler.hour("gcm", "default", wave(2600, 0.004, 900))
    filler.hour("gcm", "classic", lambda ago: (340, 2) if 30 < ago < 45 else (0, 0))


def _tell(filler):
    since = datetime.now(UTC) - timedelta(days=9, hours=3)
    for place in range(12):
        app = ("apns", "billing", "default")[place % 3]
        provider = "gcm" if place % 4 == 3 else "apns"
        filler.told(
            *(Kind.EXPIRED, provider, "default" if app == "apns" else app),
            f"{place:02x}{'c3' * 31}" if provider == "apns" else f"fGx{place}hE:APA91b{'Q' * 130}",
            ago=60 - 5 * place,
            reason="Unregistered" if provider == "apns" else "UNREGISTERED",
            status=410 if provider == "apns" else 404,
            dead_since=since if provider == "apns" else None,
        )
    for place in range(3):
        old, new = f"k5D{place}ov{'x' * 140}", f"n9W{place}em{'y' * 140}"
        filler.told(Kind.REPLACED, "gcm", "classic", old, canonical_id=new, ago=30 * place)
    letter = filler.fanout(
        ago=120,
        key="newsletter-2026-11",
        counts={"devices": 4000, "accepted": 3960, "rejected": 40},
    )
    filler.store.fanouts.source_ended(letter)
    cut = filler.fanout(app="billing", ago=60, counts={"devices": 2000, "accepted": 2000})
    filler.store.fanouts.source_ended(cut, "line 2001: the connection to the database was lost")
    filler.fanout(
        ago=1,
        source={"size": 1_000_000},
        counts={
            "devices": 6000,
            "accepted": 5210,
            "rejected": 122,
            "chunks_published": 12,
            "position": '{"place": 60000}',
        },
    )
    filler.store.rates.pause(Limit("gcm", "default"), 42)
