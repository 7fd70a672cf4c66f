"""The admin's pages: what they show of tokens, and the action that sends a push."""

import re
from html import unescape

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from phones.models import Phone

from pushtasks import fanout
from pushtasks.adapters.django import admin as admin_module
from pushtasks.fanout.publisher import Publisher
from pushtasks.store import StoreUnavailable

TOKEN, OTHER = "ab" * 32, "cd" * 32
LIST = "/admin/phones/phone/"


@pytest.fixture
def client():
    """A browser in which a superuser is logged in."""
    return logged_in(User.objects.create_superuser("root"))


def logged_in(user):
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    return client


def text(response):
    """Return the words of a page."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", response.content.decode())))


def choose(client, *phones, **more):
    """Choose the action for some phones, and return the next page."""
    data = {"action": "send_push", "index": 0, "_selected_action": [one.pk for one in phones]}
    return client.post(LIST, {**data, **more}, follow=True)


def form_of(response):
    """Return what the form of a page would send."""
    html = response.content.decode()
    names = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', html)
    keys = [value for name, value in names if name == "_selected_action"]
    return {**dict(names), "_selected_action": keys}


def send(client, page, payload):
    return client.post(LIST, {**form_of(page), "payload": payload}, follow=True)


# Tokens -----------------------------------------------------------------------------------------


def test_no_page_shows_a_token_in_full(client, make_phone):
    phone = make_phone(TOKEN)

    pages = [
        client.get(path)
        for path in (
            LIST,
            f"{LIST}?q=ababab",
            f"{LIST}{phone.pk}/change/",
            f"{LIST}{phone.pk}/delete/",
            f"{LIST}{phone.pk}/history/",
        )
    ]
    pages.append(choose(client, phone))

    for page in pages:
        assert page.status_code == 200
        assert TOKEN not in page.content.decode()
    for page in (*pages[:4],):
        assert "ababab…" in text(page)


def test_devices_are_found_by_the_beginning_of_a_token(client, make_phone):
    make_phone(TOKEN)
    make_phone(OTHER)

    assert "1 phone " in text(client.get(f"{LIST}?q=cdcd"))


def test_a_device_is_added_with_its_token_and_changed_without(client):
    given = {"provider": "apns", "app": "default", "token": TOKEN.upper(), "owner": "ada"}
    at = {"registered_at_0": "2026-05-01", "registered_at_1": "12:00:00", "is_active": "on"}
    client.post(f"{LIST}add/", {**given, **at})
    phone = Phone.objects.get()
    assert (phone.token, phone.owner) == (TOKEN, "ada")

    client.post(f"{LIST}{phone.pk}/change/", {**at, "owner": "bob", "token": OTHER})

    phone.refresh_from_db()
    assert (phone.token, phone.owner) == (TOKEN, "bob")


def test_a_token_that_is_none_is_told_by_the_form(client):
    given = {"provider": "apns", "app": "default", "token": "no token", "owner": "ada"}

    page = client.post(f"{LIST}add/", given)

    assert "'notoke…' has characters that are no hexadecimal digits" in text(page)


# The action -------------------------------------------------------------------------------------


def test_the_action_asks_what_to_send_and_sends_it(client, host, emulator, make_phone, caplog):
    phones = make_phone(TOKEN), make_phone("id", provider="gcm")
    make_phone(OTHER)
    make_phone("ef" * 32, is_active=False)
    caplog.set_level("INFO")

    asked = choose(client, *Phone.objects.exclude(token=OTHER))
    assert "To 2 active devices." in text(asked)
    done = send(client, asked, "Hello")

    [google, apple] = fanout.recent()
    assert (
        f"A push is on its way to 1 device of apns/default (fan-out {apple.id}), 1 device of"
        f" gcm/default (fan-out {google.id})." in text(done)
    )
    assert sorted(one["token"] for one in emulator.received()) == [one.token for one in phones]
    assert "root sends a push to 1 device of apns/default" in caplog.text
    assert TOKEN not in caplog.text


def test_a_form_that_is_sent_twice_sends_one_push(client, host, emulator, make_phone):
    asked = choose(client, make_phone(TOKEN))

    send(client, asked, "Hello")
    send(client, asked, "Hello")

    assert len(emulator.received()) == 1


def test_a_form_that_was_changed_sends_another_push(client, host, emulator, make_phone):
    """As with the browser's way back; the page would say that it was sent."""
    asked = choose(client, make_phone(TOKEN))

    send(client, asked, "Hello")
    send(client, asked, "Hello again")

    assert len(emulator.received()) == 2


def test_all_devices_of_a_list_can_be_chosen_not_only_those_of_its_page(
    client, host, emulator, make_phone
):
    phones = [make_phone(f"{number:02x}") for number in range(3)]

    asked = choose(client, phones[0], select_across=1)
    assert "To 3 active devices." in text(asked)
    send(client, asked, "Hello")

    assert len(emulator.received()) == 3


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ("", "This field is required."),
        ('{"aps": ', "This is not JSON: Expecting value"),
        ('{"aps": {"alert": "Hi"}}', "payload: the devices are of both providers"),
        ('{"apns": {"aps": 7}, "gcm": "Hi"}', "aps"),
    ],
)
def test_a_payload_that_cannot_be_sent_is_told_by_the_form(
    payload, told, client, host, emulator, make_phone
):
    asked = choose(client, make_phone(TOKEN), make_phone("id", provider="gcm"))

    answer = send(client, asked, payload)

    assert told in text(answer)
    assert payload in unescape(answer.content.decode())
    assert emulator.received() == []


def test_json_for_both_providers_is_sent(client, host, emulator, make_phone):
    asked = choose(client, make_phone(TOKEN), make_phone("id", provider="gcm"))

    send(client, asked, '{"apns": {"aps": {"badge": 1}}, "gcm": {"data": {"a": "b"}}}')

    assert len(emulator.received()) == 2


def test_devices_that_are_not_active_are_sent_nothing(client, host, make_phone):
    answer = choose(client, make_phone(TOKEN, is_active=False))

    assert "None of these devices is active, so no push can be sent to them." in text(answer)


def test_more_devices_than_a_page_can_wait_for_are_refused(client, host, make_phone, monkeypatch):
    monkeypatch.setattr(admin_module, "LIMIT", 1)

    answer = choose(client, make_phone(TOKEN), make_phone(OTHER))

    assert "2 devices are more than the 1 of a page: send to them by `manage.py push`" in text(
        answer
    )


def test_a_redis_that_is_away_is_told(client, host, make_phone, free_port):
    host.conf.pushtasks = {"redis_url": f"redis://127.0.0.1:{free_port}/0"}

    answer = send(client, choose(client, make_phone(TOKEN)), "Hello")

    assert "The push was not sent, or not to all" in text(answer)
    assert "Redis at 127.0.0.1" in text(answer)


@pytest.mark.parametrize("chunks", [0, 1])
def test_what_could_not_be_sent_to_all_is_sent_on_from_the_same_form(
    chunks, client, host, emulator, make_phone, monkeypatch
):
    """The broker goes away once the fan-out to Google has been begun, or has published a chunk."""

    def lose_broker(self, number):
        if self._spec.provider == "gcm" and number == chunks:
            raise StoreUnavailable("the broker is away")
        send_chunk(self, number)

    send_chunk = Publisher._send
    google = [make_phone(f"id-{number}", provider="gcm") for number in range(3)]
    asked = choose(client, make_phone(TOKEN), *google)
    monkeypatch.setitem(fanout.start.__kwdefaults__, "chunk", 1)
    monkeypatch.setattr(Publisher, "_send", lose_broker)

    failed = send(client, asked, "Hello")
    monkeypatch.setattr(Publisher, "_send", send_chunk)
    done = send(client, failed, "Hello")

    assert "nobody gets it twice: the broker is away" in text(failed)
    assert "A push is on its way to 1 device of apns/default" in text(done)
    assert len(emulator.received()) == 4


def test_who_may_not_send_cannot(host, emulator, make_phone):
    user = User.objects.create_user("reader", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_phone"))
    phone = make_phone(TOKEN)

    assert "Send a push…" not in text(logged_in(user).get(LIST))
    answer = choose(logged_in(user), phone, payload="Hello", key="0" * 32)
    assert "on its way" not in text(answer)
    assert form_of(answer).get("key") is None
    assert emulator.received() == []

    user.user_permissions.add(Permission.objects.get(codename="push_phone"))
    assert "Send a push…" in text(logged_in(User.objects.get(pk=user.pk)).get(LIST))
