"""A device in the database: registered, named, and held apart."""

import pytest
from celery import Celery
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.utils import timezone
from phones.models import Phone

from pushtasks import InvalidPush
from pushtasks.store import current_store

TOKEN, OTHER = "ab" * 32, "cd" * 32


def register(token=TOKEN, **fields):
    return Phone.objects.register(token, **{"provider": "apns", "owner": "ada", **fields})


@pytest.fixture
def lonely():
    """A Celery app without any Redis, as the current one."""
    app = Celery("lonely", broker="memory://", backend="rpc://")
    app.conf.pushtasks = {}
    yield app
    app.close()


def test_the_migration_of_the_example_is_of_its_model():
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_a_device_is_named_by_the_beginning_of_its_token(make_phone):
    phone = make_phone(TOKEN)

    assert str(phone) == "apns/default ababab…"
    assert TOKEN not in repr(phone)


def test_the_same_token_is_in_the_table_once(make_phone):
    make_phone(TOKEN)
    make_phone(TOKEN, provider="gcm")
    make_phone(TOKEN, app="other")

    with pytest.raises(IntegrityError), transaction.atomic():
        make_phone(TOKEN)


@pytest.mark.parametrize(
    ("provider", "given", "kept"),
    [("apns", f"<{TOKEN.upper()[:8]} {TOKEN[8:]}>", TOKEN), ("gcm", "  aB:c_1-2 \n", "aB:c_1-2")],
)
def test_a_token_is_kept_in_one_form(provider, given, kept, lonely):
    form = Phone(provider=provider, token=given, owner="ada")
    form.full_clean()

    assert form.token == kept
    assert register(given, provider=provider).token == kept


@pytest.mark.parametrize(
    ("provider", "token", "told"),
    [
        ("apns", "token of ada", "'tokeno…' has characters that are no hexadecimal digits"),
        ("apns", "", "is empty"),
        ("gcm", " ", "registration id"),
        ("gcm", "/topics/news-of-the-day", "registration id '/topic…' is a topic"),
    ],
)
def test_what_is_no_token_is_refused(provider, token, told, lonely):
    with pytest.raises(InvalidPush) as refused:
        register(token, provider=provider)
    assert told in str(refused.value)

    with pytest.raises(ValidationError):
        Phone(provider=provider, token=token, owner="ada").full_clean()
    assert Phone.objects.count() == 0


# Registering ------------------------------------------------------------------------------------


def test_a_new_token_is_stored(lonely):
    before = timezone.now()

    phone = register(environment="sandbox")

    stored = Phone.objects.get()
    assert stored == phone
    assert (stored.app, stored.environment, stored.owner) == ("default", "sandbox", "ada")
    assert before <= stored.registered_at <= timezone.now()


def test_a_token_that_is_known_gets_its_new_fields_and_lives(make_phone, lonely):
    old = make_phone(TOKEN, is_active=False, inactive_reason="Unregistered", environment="sandbox")

    register(owner="bob")

    stored = Phone.objects.get()
    assert stored.pk == old.pk
    assert (stored.owner, stored.is_active, stored.inactive_reason) == ("bob", True, "")
    assert stored.environment == ""
    assert stored.registered_at > old.registered_at


def test_a_relation_cannot_register_for_a_token_may_have_had_another_owner(make_phone):
    related = Phone.objects.all()
    related._hints = {"instance": make_phone(TOKEN)}  # as of `user.phones`

    with pytest.raises(TypeError, match="call it on the model's own manager"):
        related.register(OTHER, provider="apns")


def test_workers_that_know_a_token_to_be_dead_hear_that_it_is_registered_again(
    host, emulator, make_phone, monkeypatch
):
    monkeypatch.setenv("PUSHTASKS_APNS__DEFAULT__SKIP_DEAD", "true")
    emulator.control("PUT", f"/tokens/{TOKEN}", {"reason": "Unregistered"})
    phone = register()
    assert [phone.push("Hi").get()["reason"] for _ in range(2)] == ["Unregistered", "KnownDead"]
    emulator.reset()

    with transaction.atomic():
        register()
        known = current_store(host).known_dead("apns", "default", [TOKEN])
    assert list(known) == [TOKEN]  # until the commit

    assert phone.push("Hi").get()["outcome"] == "accepted"


def test_a_redis_that_is_away_keeps_nobody_from_registering(lonely, caplog, free_port):
    lonely.conf.pushtasks = {"redis_url": f"redis://127.0.0.1:{free_port}/0"}

    register()

    assert Phone.objects.count() == 1
    assert "A token that was registered may still be left out by skip_dead: Redis" in caplog.text
    assert TOKEN not in caplog.text


def test_without_any_redis_nothing_is_said(lonely, caplog):
    register()

    assert caplog.text == ""


def test_apps_that_do_not_skip_dead_tokens_cost_no_redis(lonely, free_port, caplog):
    app = {"topic": "a.b", "key": "k.p8", "key_id": "ABC1234567", "team_id": "TEAM123456"}
    url = f"redis://127.0.0.1:{free_port}/0"
    lonely.conf.pushtasks = {"redis_url": url, "apns": {"default": app}}

    register()

    assert caplog.text == ""
