"""Mistakes that `manage.py check` tells, and those that it leaves to others."""

import pytest
from django.conf import settings
from django.core import checks
from django.db import models
from django.test.utils import isolate_apps, override_settings

from pushtasks.adapters.django.checks import check_settings
from pushtasks.adapters.django.models import Device

APNS = {"topic": "com.example.app", "key": "k.p8", "key_id": "ABC1234567", "team_id": "TEAM123456"}


@pytest.fixture(autouse=True)
def _nothing_is_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PUSHTASKS_CONFIG", raising=False)


def told(**written):
    """Return what is said of these settings: id, object, message, hint."""
    with override_settings(**written):
        return [(one.id, one.obj, one.msg, one.hint) for one in check_settings()]


def test_the_settings_are_checked_with_all_others():
    with override_settings(PUSHTASKS=7):
        ids = [one.id for one in checks.run_checks()]

    assert ids == ["pushtasks.E001"]


def test_settings_that_are_right_are_silent():
    assert told(PUSHTASKS={"apns": {"default": APNS}}) == []


def test_no_settings_at_all_are_a_warning_with_both_ways_out():
    assert not hasattr(settings, "PUSHTASKS")

    [(id_, obj, message, hint)] = told()

    assert (id_, obj) == ("pushtasks.W001", "PUSHTASKS")
    assert message.startswith("No app is set: there is no PUSHTASKS, no pushtasks.toml")
    assert 'Set PUSHTASKS = {"apns": {"default": {…}}}' in hint
    assert "PUSHTASKS = {} if only workers" in hint


def test_a_web_process_without_apps_can_say_so():
    assert told(PUSHTASKS={}) == []


def test_apps_in_a_file_are_enough(tmp_path):
    (tmp_path / "pushtasks.toml").write_text('[gcm.default]\ncredentials = "c.json"\n')

    assert told() == []


def test_each_mistake_is_an_error_with_its_key_and_a_hint():
    wrong = {"apns": {"default": {**APNS, "key_id": "short", "topik": "a.b"}}, "gmc": {}}

    assert told(PUSHTASKS=wrong) == [
        (
            "pushtasks.E001",
            "PUSHTASKS",
            "apns.default.key_id: 'short' is wrong, it must be 10 letters and digits.",
            "Set the 10 characters that Apple shows beside the key",
        ),
        ("pushtasks.E001", "PUSHTASKS", "apns.default.topik: unknown key.", "Did you mean topic?"),
        ("pushtasks.E001", "PUSHTASKS", "gmc: unknown key.", "Did you mean gcm?"),
    ]


def test_a_setting_that_is_no_dict_is_told():
    [(id_, _, message, hint)] = told(PUSHTASKS="pushtasks.toml")

    assert id_ == "pushtasks.E001"
    assert message == "Celery setting pushtasks is a str."
    assert hint == "It must be a dict of the shape of pushtasks.toml"


def test_the_setting_may_have_the_name_that_celery_s_namespace_gives_it():
    [(_, _, message, _)] = told(CELERY_PUSHTASKS={"apns": {"default": {"topic": "a.b"}}})

    assert message == "apns.default.key: missing."


def test_no_secret_is_told():
    secret = {**APNS, "key": "", "certificate_password": "hunter2"}

    assert "hunter2" not in str(told(PUSHTASKS={"apns": {"default": secret}}))


def test_a_mistake_of_the_environment_is_not_laid_on_the_setting(monkeypatch):
    monkeypatch.setenv("PUSHTASKS_GMC__DEFAULT__PROJECT", "x")

    [(_, obj, message, _)] = told()

    assert obj == "pushtasks"
    assert message == "PUSHTASKS_GMC__DEFAULT__PROJECT: unknown variable."


# Models -----------------------------------------------------------------------------------------


def of_model(model):
    return [(one.id, one.obj, one.hint) for one in model.check() if one.id[:9] == "pushtasks"]


@isolate_apps("phones")
def test_a_model_whose_meta_lost_what_keeps_tokens_apart_is_an_error():
    class Tablet(Device):
        class Meta:
            app_label = "phones"

    hint = "Let its Meta inherit that of the mixin: class Meta(Device.Meta)."
    assert of_model(Tablet) == [("pushtasks.E002", Tablet, hint)]


@isolate_apps("phones")
def test_a_model_may_keep_them_apart_as_it_likes():
    class Inherits(Device):
        class Meta(Device.Meta):
            app_label = "phones"
            ordering = ("token",)

    class Together(Device):
        class Meta:
            app_label = "phones"
            unique_together = ("app", "token")

    class Alone(Device):
        token = models.CharField(max_length=100, unique=True)

        class Meta:
            app_label = "phones"

    for model in (Inherits, Together, Alone):
        assert of_model(model) == []


@isolate_apps("phones")
def test_a_model_whose_tokens_are_in_the_table_of_another_needs_nothing():
    class Tablet(Device):
        class Meta(Device.Meta):
            app_label = "phones"

    class Shown(Tablet):
        class Meta:
            app_label = "phones"
            proxy = True

    class Longer(Tablet):
        class Meta:
            app_label = "phones"
            verbose_name = "longer tablet"

    for model in (Tablet, Shown, Longer):
        assert of_model(model) == []


@isolate_apps("phones")
def test_a_constraint_for_some_rows_only_is_not_enough():
    class Tablet(Device):
        class Meta:
            app_label = "phones"
            constraints = (
                models.UniqueConstraint(
                    fields=["token"], condition=models.Q(is_active=True), name="active_token"
                ),
            )

    assert len(of_model(Tablet)) == 1
