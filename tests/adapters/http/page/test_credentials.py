"""As whom apps send, read from their keys and certificates."""

from datetime import UTC, datetime, timedelta

import pytest

from pushtasks.adapters.http.page.credentials import KEPT, credential
from pushtasks.config import load_settings

NOW = datetime.now(UTC)


def only_app(settings):
    loaded = load_settings(settings, environ={})
    [app] = [*loaded.apns.values(), *loaded.gcm.values()]
    return app


@pytest.fixture
def with_certificate(certificate):
    """(days left) → an app with a certificate."""

    def make(days):
        path = certificate(days)
        return only_app({"apns": {"default": {"topic": "com.example.app", "certificate": path}}})

    return make


def test_a_certificate_has_a_name_and_an_end(with_certificate):
    now = datetime.now(UTC)
    found = credential(with_certificate(12), now)

    assert (found.kind, found.name, found.problem) == ("Certificate", "com.example.app", "")
    assert timedelta(days=12, minutes=-1) < found.expires - now < timedelta(days=12, minutes=5)


def test_an_expired_certificate_is_a_problem(with_certificate):
    found = credential(with_certificate(-1), NOW)

    assert "expired on" in found.problem
    assert "PRIVATE" not in found.problem


def test_keys_and_accounts_do_not_expire(emulator_apps):
    names = {}
    for provider, apps in emulator_apps.items():
        for name, app in apps.items():
            found = credential(only_app({provider: {name: app}}), NOW)
            assert found.problem == ""
            names[f"{provider}.{name}"] = (found.kind, found.expires is None)

    assert names == {
        "apns.default": ("Key", True),
        "apns.classic": ("Certificate", False),
        "gcm.default": ("Service account", True),
        "gcm.classic": ("API key", True),
    }


def test_an_api_key_is_never_shown(emulator_apps):
    app = emulator_apps["gcm"]["classic"]

    assert app["api_key"] not in repr(credential(only_app({"gcm": {"classic": app}}), NOW))


def test_a_file_that_was_changed_shows_after_a_while(with_certificate):
    app = with_certificate(12)
    first = credential(app, NOW)
    with_certificate(300)

    later = credential(app, NOW + timedelta(seconds=2 * KEPT))

    assert credential(app, NOW) == first
    assert later.expires - first.expires > timedelta(days=200)
