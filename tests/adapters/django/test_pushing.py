"""Pushes to rows: which fan-outs a queryset becomes, what is sent, and when."""

import tracemalloc

import pytest
from django.db import connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from phones.models import Phone

from pushtasks import InvalidPush, fanout
from pushtasks.adapters.django import rows as rows_module
from pushtasks.adapters.django.rows import Rows
from pushtasks.fanout.records import START

TOKEN, OTHER = "ab" * 32, "cd" * 32


def sent(emulator):
    """Return what the providers got: of which service, to whom, and the text."""
    return sorted((one["service"], one["token"]) for one in emulator.received())


def tokens(devices, after=START):
    return [record.item for record in Rows(devices).records(after, is_mixed=False)]


# Querysets --------------------------------------------------------------------------------------


def test_a_push_goes_to_the_active_devices_of_a_filter(host, emulator, make_phone):
    make_phone(TOKEN)
    make_phone(OTHER, is_active=False)
    make_phone("ef" * 32, owner="bob")

    [started] = Phone.objects.filter(owner="ada").push("Hi", priority=5)

    done = fanout.wait(started.id, 10)
    assert (done.devices, done.accepted) == (1, 1)
    [arrived] = emulator.received()
    assert (arrived["token"], arrived["payload"]) == (TOKEN, {"aps": {"alert": "Hi"}})
    assert arrived["headers"]["apns-priority"] == "5"


def test_a_text_goes_to_the_devices_of_both_providers(host, emulator, make_phone):
    make_phone(TOKEN)
    make_phone("id", provider="gcm")

    started = Phone.objects.all().push("Hi", collapse_id="x", dry_run=True)

    assert [one.spec.provider for one in started] == ["apns", "gcm"]
    assert [dict(one.spec.options) for one in started] == [{"collapse_id": "x"}, {"dry_run": True}]
    assert sent(emulator) == [("apns", TOKEN), ("fcm", "id")]


def test_each_provider_gets_the_payload_that_is_its_own(host, emulator, make_phone):
    make_phone(TOKEN)
    make_phone("id", provider="gcm")

    Phone.objects.all().push({"apns": {"aps": {"alert": "A"}}, "gcm": {"data": {"g": "1"}}})

    payloads = {one["service"]: one["payload"] for one in emulator.received()}
    assert payloads["apns"] == {"aps": {"alert": "A"}}
    assert payloads["fcm"]["message"]["data"] == {"g": "1"}


def test_apps_and_environments_are_kept_apart(host, emulator, make_phone):
    host.conf.pushtasks = {"apns": {"tv": {"topic": "com.example.tv", **key(emulator)}}}
    make_phone(TOKEN)
    make_phone(OTHER, environment="sandbox")
    make_phone(TOKEN, app="tv")

    started = Phone.objects.order_by("-token").push("Hi")

    assert [(one.spec.app, dict(one.spec.options), one.devices) for one in started] == [
        ("default", {}, 1),
        ("default", {"environment": "sandbox"}, 1),
        ("tv", {}, 1),
    ]
    topics = sorted(one["headers"]["apns-topic"] for one in emulator.received())
    assert topics == ["com.example.app", "com.example.app", "com.example.tv"]


def test_an_environment_means_nothing_at_google(host, emulator, make_phone):
    make_phone("one", provider="gcm", environment="sandbox")
    make_phone("two", provider="gcm")

    [started] = Phone.objects.all().push("Hi")

    assert (started.devices, dict(started.spec.options)) == (2, {})
    assert Phone.objects.get(token="one").push("Hi").get()["outcome"] == "accepted"


def key(emulator):
    folder = emulator.directory
    server = {"server": emulator.endpoints.apns, "ca_file": folder / "ca.pem"}
    return {
        "key": folder / "apns-key.p8",
        "key_id": "EMULATOR01",
        "team_id": "TEAM123456",
        **server,
    }


@pytest.mark.parametrize(
    ("payload", "options", "told"),
    [
        ({"aps": {"alert": "Hi"}}, {}, "the devices are of both providers"),
        ("Hi", {"colour": "red"}, "option 'colour' is none of these devices'"),
        ("Hi", {"app": "other"}, "option 'app' is the device's own"),
        ("Hi", {"environment": "sandbox"}, "option 'environment' is the device's own"),
        ("Hi", {"priority": 3}, "priority 3"),
        ({"apns": "Hi", "gcm": {"notifikation": {}}}, {}, "notifikation"),
    ],
)
@pytest.mark.parametrize("method", ["push", "push_on_commit"])
def test_what_some_cannot_be_sent_is_refused_before_any_is(
    method, payload, options, told, host, emulator, make_phone
):
    make_phone(TOKEN)
    make_phone("id", provider="gcm")

    with pytest.raises(InvalidPush, match=told):
        getattr(Phone.objects.all(), method)(payload, **options)

    assert fanout.recent() == []


def test_an_app_that_nobody_knows_is_refused_before_anything_begins(host, make_phone):
    make_phone(TOKEN)
    make_phone(OTHER, app="theirs")

    with pytest.raises(InvalidPush, match="app 'theirs' is not in the apns settings"):
        Phone.objects.all().push("Hi")

    assert fanout.recent() == []


def test_nobody_is_sent_nothing(host, make_phone):
    make_phone(TOKEN, is_active=False)

    assert Phone.objects.all().push("Hi") == ()
    assert fanout.recent() == []


def test_a_slice_is_refused_with_the_way_out(host):
    with pytest.raises(InvalidPush, match="a slice cannot be sent to"):
        Phone.objects.all()[:10].push("Hi")


def test_the_same_key_is_sent_once_to_each_part(host, emulator, make_phone):
    make_phone(TOKEN)
    make_phone("id", provider="gcm")

    first = Phone.objects.all().push("Hi", key="news-1")
    again = Phone.objects.all().push("Hi", key="news-1")

    assert [one.id for one in first] == [one.id for one in again]
    assert len(emulator.received()) == 2


def test_a_device_that_providers_call_dead_is_inactive_after_the_push(
    host, emulator, make_phone, listening, rows
):
    make_phone(TOKEN)
    make_phone(OTHER)
    emulator.control("PUT", f"/tokens/{TOKEN}", {"reason": "Unregistered"})

    Phone.objects.all().push("Hi")

    assert rows() == {TOKEN: (False, "Unregistered"), OTHER: (True, "")}


def test_a_fanout_whose_publisher_was_stopped_goes_on_though_devices_have_gone(
    host, emulator, make_phone, monkeypatch
):
    monkeypatch.setattr(rows_module, "PAGE", 2)
    for number in range(8):
        make_phone(f"{number:064x}")

    def stop(fanout):
        if fanout.chunks_published:
            raise KeyboardInterrupt

    monkeypatch.setattr("pushtasks.fanout.publisher.REPORT", 0.0)
    with pytest.raises(KeyboardInterrupt):
        Phone.objects.all().push("Hi", chunk=3, progress=stop)
    [stopped] = fanout.recent()
    Phone.objects.filter(token=f"{1:064x}").update(is_active=False)  # of those that were sent to

    resumed = Phone.objects.all().resume_push(stopped.id)

    done = fanout.wait(resumed.id, 10)
    assert (stopped.source_ended, done.accepted) == (False, 8)
    assert [one["token"] for one in emulator.received()] == [f"{n:064x}" for n in range(8)]


# Rows -------------------------------------------------------------------------------------------


def test_rows_are_read_by_pages_in_the_order_of_their_keys(make_phone, monkeypatch):
    monkeypatch.setattr(rows_module, "PAGE", 3)
    made = [make_phone(f"{9 - number:02x}").token for number in range(8)]

    with CaptureQueriesContext(
        connection,
    ) as queries:
        read = tokens(Phone.objects.order_by("token"))

    assert read == made
    assert len(queries) == 4  # the last says that there are no more
    assert all("LIMIT 3" in query["sql"] for query in queries)


def test_a_device_that_a_join_has_many_times_is_sent_to_once(make_phone, monkeypatch):
    monkeypatch.setattr(rows_module, "PAGE", 2)
    made = [make_phone(f"{number:02x}").token for number in range(3)]
    joined = Phone.objects.extra(tables=["django_content_type"])

    assert joined.count() > 2 * len(made)
    assert tokens(joined) == made


def test_rows_go_on_after_a_position_whatever_has_gone_before_it(make_phone):
    made = [make_phone(f"{number:02x}") for number in range(6)]
    Phone.objects.filter(token__in=["00", "01"]).delete()

    records = list(
        Rows(Phone.objects.all()).records({"line": 4, "place": made[3].pk}, is_mixed=False)
    )

    assert [(one.line, one.item, one.place) for one in records] == [
        (5, "04", made[4].pk),
        (6, "05", made[5].pk),
    ]


def test_memory_does_not_grow_with_the_number_of_devices():
    def peak(count):
        devices = (Phone(provider="gcm", token=f"{n:0160x}", owner="x") for n in range(count))
        Phone.objects.all().delete()
        Phone.objects.bulk_create(devices, batch_size=2000)
        tracemalloc.start()
        assert sum(1 for _ in Rows(Phone.objects.all()).records(START, is_mixed=False)) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, many = peak(5_000), peak(15_000)

    assert many < few * 1.2


# One device -------------------------------------------------------------------------------------


def test_a_push_to_one_device_has_its_result(host, emulator, make_phone):
    phone = make_phone(TOKEN)
    android = make_phone("id", provider="gcm")

    results = [one.push("Hi").get() for one in (phone, android)]

    assert [(one["token"], one["outcome"]) for one in results] == [
        (TOKEN, "accepted"),
        ("id", "accepted"),
    ]


def test_a_push_to_one_device_takes_what_its_provider_takes(host, emulator, make_phone):
    phone = make_phone(TOKEN, environment="sandbox")
    both = {"apns": {"aps": {"alert": "A"}}, "gcm": {"data": {"g": "1"}}}

    phone.push(both, collapse_id="score").get()

    [arrived] = emulator.received()
    assert arrived["payload"] == {"aps": {"alert": "A"}}
    assert arrived["headers"]["apns-collapse-id"] == "score"


@pytest.mark.parametrize("method", ["push", "push_on_commit"])
def test_a_device_that_is_not_active_is_refused(method, host, emulator, make_phone):
    phone = make_phone(TOKEN, is_active=False, inactive_reason="Unregistered")

    with pytest.raises(InvalidPush) as refused:
        getattr(phone, method)("Hi")

    assert str(refused.value) == (
        "device apns/default ababab… is not active (Unregistered): register it again"
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [({"app": "x"}, "option 'app' is the device's own"), ({"colour": "red"}, "no option 'colour'")],
)
@pytest.mark.parametrize("method", ["push", "push_on_commit"])
def test_a_wrong_option_is_refused_at_once(method, options, told, host, make_phone):
    with pytest.raises(InvalidPush, match=told):
        getattr(make_phone(TOKEN), method)("Hi", **options)


# Transactions -----------------------------------------------------------------------------------


def test_a_push_on_commit_is_sent_with_the_commit(host, emulator, make_phone):
    with transaction.atomic():
        phone = make_phone(TOKEN)
        phone.push_on_commit("One")
        Phone.objects.all().push_on_commit("All")
        assert emulator.received() == []

    texts = [one["payload"]["aps"]["alert"] for one in emulator.received()]
    assert texts == ["One", "All"]


def test_a_push_on_commit_is_not_sent_if_there_is_none(host, emulator, make_phone):
    with transaction.atomic():
        phone = make_phone(TOKEN)
        phone.push_on_commit("One")
        Phone.objects.all().push_on_commit("All")
        transaction.set_rollback(True)

    assert emulator.received() == []
    assert fanout.recent() == []


def test_a_push_on_commit_says_what_it_said_when_it_was_called(host, emulator, make_phone):
    with transaction.atomic():
        phone = make_phone(TOKEN)
        phone.push_on_commit("Hi")
        phone.token = OTHER

    assert sent(emulator) == [("apns", TOKEN)]


class ReadsReplicas:
    """Has models read from a replica, as of Django's documentation of several databases."""

    def db_for_read(self, _model, **_hints):
        return "replica"

    def db_for_write(self, _model, **_hints):
        return "default"


def test_a_push_on_commit_waits_for_the_commit_where_replicas_are_read(host, emulator, make_phone):
    make_phone(TOKEN)
    with override_settings(DATABASE_ROUTERS=[ReadsReplicas()]), transaction.atomic():
        Phone.objects.get().push_on_commit("One")
        Phone.objects.all().push_on_commit("All")
        assert emulator.received() == []

    texts = [one["payload"]["aps"]["alert"] for one in emulator.received()]
    assert texts == ["One", "All"]
