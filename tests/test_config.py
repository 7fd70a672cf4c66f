import gc
import os
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st

from pushtasks.config import (
    ApnsApp,
    GcmApp,
    current_settings,
    load_settings,
    mistakes_in,
    use_settings,
)
from pushtasks.config.concealed import NAMES, conceal
from pushtasks.config.mistakes import APPS
from pushtasks.errors import InvalidPush, InvalidSettings

KEY = {"key": "key.p8", "key_id": "ABC1234567", "team_id": "TEAM123456"}
APNS = {"topic": "com.example.app", **KEY}
SECRET = "hush-hush"
PEM = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByq\n-----END PRIVATE KEY-----\n"


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("PUSHTASKS_"):
            monkeypatch.delenv(name)


def load(setting=None, **environ):
    return load_settings(setting, environ=environ)


def apns(**values):
    return load({"apns": {"default": {**APNS, **values}}}).apns_app("default")


def gcm(**values):
    app = {"credentials": "service-account.json", **values}
    return load({"gcm": {"default": app}}).gcm_app("default")


def mistakes_of(setting=None, **environ):
    """Return the lines of the error, without the one that counts them."""
    with pytest.raises(InvalidSettings) as caught:
        load(setting, **environ)
    first, *lines = str(caught.value).splitlines()
    return [line.strip() for line in lines] or [first.partition("): ")[2]]


# What can be set -----------------------------------------------------------------------------


def test_an_apns_app_needs_a_topic_and_a_way_to_authenticate_and_defaults_to_production():
    app = apns()

    assert (app.name, app.protocol, app.environment) == ("default", "http2", "production")
    assert (app.connections, app.streams, app.timeout, app.retries) == (1, 1000, 10.0, 5)
    assert app.unanswered == "resend"
    assert app.server is app.proxy is app.ca_file is app.certificate is None


@pytest.mark.parametrize(
    ("rate", "per_second"), [(None, 0), ("9000/s", 9000), ("600/m", 10), ("1800/h", 0.5)]
)
def test_a_rate_is_a_number_of_pushes_in_some_time(rate, per_second):
    assert apns(rate=rate).per_second == per_second


def test_a_gcm_app_needs_credentials_alone():
    app = gcm()

    assert (app.name, app.protocol, app.project) == ("default", "v1", None)
    assert (app.connections, app.streams, app.timeout, app.retries) == (1, 100, 10.0, 5)


def test_nothing_set_is_no_mistake_as_a_web_process_needs_no_settings():
    settings = load()

    assert not settings.configured
    assert dict(settings.apns) == dict(settings.gcm) == {}
    assert settings.redis_url is None


def test_an_app_or_two_make_the_settings_configured():
    assert load({"gcm": {"x": {"credentials": "a.json"}}}).configured


def test_a_certificate_alone_is_a_way_to_authenticate():
    app = load({"apns": {"x": {"topic": "a.b", "certificate": PEM}}}).apns_app("x")

    assert app.certificate.get_secret_value() == PEM
    assert app.key is None


def test_apps_cannot_be_changed_and_serve_as_keys():
    app = apns()

    with pytest.raises(ValueError, match="frozen"):
        app.timeout = 1.0
    with pytest.raises(TypeError):
        load({"apns": {"a": APNS}}).apns["b"] = app
    assert {app: 1}[apns()] == 1


@pytest.mark.parametrize(
    "proxy",
    ["http://h:3128", "http://user:p@h:3128", "socks5://h:1080", "socks5h://user:p@h:1080"],
)
def test_proxies_that_libcurl_can_use_are_taken(proxy):
    assert apns(proxy=proxy).proxy.get_secret_value() == proxy


@pytest.mark.parametrize("server", ["https://h", "https://h:2197", "https://[::1]:443"])
def test_servers_are_origins(server):
    assert apns(server=server).server == server
    assert gcm(server=server).server == server


# Where it is set ------------------------------------------------------------------------------


def test_the_celery_setting_comes_before_the_file_and_the_file_before_the_environment(tmp_path):
    (tmp_path / "pushtasks.toml").write_text(
        '[apns.default]\ntopic = "file"\nretries = 2\n[gcm.default]\ncredentials = "a.json"\n'
    )
    settings = load(
        {"apns": {"default": {**KEY, "topic": "celery"}}},
        PUSHTASKS_APNS__DEFAULT__TOPIC="environment",
        PUSHTASKS_APNS__DEFAULT__RETRIES="3",
        PUSHTASKS_APNS__DEFAULT__TIMEOUT="4.5",
        PUSHTASKS_REDIS_URL="redis://h/2",
    )

    app = settings.apns_app("default")
    assert (app.topic, app.retries, app.timeout) == ("celery", 2, 4.5)
    assert settings.gcm_app("default").name == "default"
    assert settings.redis_url == "redis://h/2"


def test_the_environment_alone_sets_up_an_app():
    settings = load(
        PUSHTASKS_APNS__DEFAULT__TOPIC="com.example.app",
        PUSHTASKS_APNS__DEFAULT__KEY=PEM,
        PUSHTASKS_APNS__DEFAULT__KEY_ID="1234567890",
        PUSHTASKS_APNS__DEFAULT__TEAM_ID="12E4567890",
        PUSHTASKS_GCM__OTHER__CREDENTIALS='{"type": "service_account"}',
    )

    app = settings.apns_app("default")
    assert app.key.get_secret_value() == PEM
    assert (app.key_id, app.team_id) == ("1234567890", "12E4567890")
    credentials = settings.gcm_app("other").credentials.get_secret_value()
    assert credentials == '{"type": "service_account"}'


def test_an_empty_variable_sets_nothing():
    assert not load(PUSHTASKS_APNS__DEFAULT__TOPIC="", PUSHTASKS_REDIS_URL="").configured


@pytest.mark.parametrize(
    "variable",
    [
        "PUSHTASKS_BROKER_URL",
        "PUSHTASKS_RESULT_BACKEND",
        "PUSHTASKS_VISIBILITY_TIMEOUT",
        "PUSHTASKS_WORKER_POOL",
        "PUSHTASKS_WORKER_CONCURRENCY",
    ],
)
def test_variables_of_the_celery_app_are_left_to_it(variable):
    assert not load(**{variable: "x"}).configured


@pytest.mark.parametrize(
    "variable",
    [
        "PUSHTASKS_SERVICE_HOST",
        "PUSHTASKS_SERVICE_PORT",
        "PUSHTASKS_SERVICE_PORT_METRICS",
        "PUSHTASKS_PORT",
        "PUSHTASKS_PORT_5601_TCP",
        "PUSHTASKS_PORT_5601_TCP_ADDR",
        "PUSHTASKS_WORKER_SERVICE_HOST",
        "PUSHTASKS_WORKER_PORT_80_TCP_PROTO",
    ],
)
def test_variables_that_kubernetes_makes_of_a_service_name_are_no_settings(variable):
    assert not load(**{variable: "10.0.0.1"}).configured


def test_a_named_file_is_read_in_place_of_the_one_in_the_working_directory(tmp_path):
    (tmp_path / "pushtasks.toml").write_text("this is never read")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "push.toml").write_text('redis_url = "redis://named"\n')

    settings = load(PUSHTASKS_CONFIG="etc/push.toml")

    assert settings.redis_url == "redis://named"
    assert settings.directory == tmp_path / "etc"


def test_paths_are_relative_to_the_file_that_names_them(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "push.toml").write_text(
        '[apns.default]\ntopic = "a"\nkey = "keys/a.p8"\nkey_id = "ABC1234567"\n'
        'team_id = "TEAM123456"\nca_file = "/abs/ca.pem"\n'
    )
    settings = load(
        {"apns": {"celery": {**APNS, "key": Path("k.p8")}}},
        PUSHTASKS_CONFIG="etc/push.toml",
        PUSHTASKS_GCM__DEFAULT__CREDENTIALS="../a.json",
    )

    def path(secret):
        return Path(secret.get_secret_value())

    assert path(settings.apns_app("default").key) == tmp_path / "etc/keys/a.p8"
    assert settings.apns_app("default").ca_file == Path("/abs/ca.pem")
    assert path(settings.apns_app("celery").key) == tmp_path / "k.p8"
    assert path(settings.gcm_app("default").credentials) == tmp_path / "../a.json"


@pytest.mark.parametrize("text", [PEM, PEM.replace("\n", "\\n"), "LS0tLS1CRUdJTi" * 20])
def test_what_is_no_path_stays_as_it_is(text):
    assert apns(key=text).key.get_secret_value() == text


def test_a_tilde_is_somebodys_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")

    assert apns(key="~/a.p8").key.get_secret_value() == "/home/me/a.p8"


# Mistakes -------------------------------------------------------------------------------------


def test_all_mistakes_are_told_at_once_each_in_its_line():
    setting = {
        "apns": {
            "one": {"topic": "a b", **KEY, "timeout": 0},
            "two": {"topik": "a", "key": "k.p8", "retries": "many"},
        },
        "gcm": {"three": {}},
        "push": 1,
    }

    lines = mistakes_of(setting, PUSHTASKS_REDIS="x")

    assert sorted(line.partition(":")[0] for line in lines) == [
        "PUSHTASKS_REDIS",
        "apns.one.timeout",
        "apns.one.topic",
        "apns.two.key_id",
        "apns.two.retries",
        "apns.two.team_id",
        "apns.two.topic",
        "apns.two.topik",
        "gcm.three.credentials",
        "push",
    ]


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (
            {"timeout": 0},
            "apns.default.timeout: 0 is wrong, it must be greater than 0; set the seconds for one",
        ),
        ({"timeout": float("nan")}, "apns.default.timeout: nan is wrong, it must be a finite"),
        ({"connections": 0}, "apns.default.connections: 0 is wrong, it must be greater than or"),
        ({"retries": -1}, "apns.default.retries: -1 is wrong"),
        ({"retries": "x"}, "apns.default.retries: 'x' is wrong, it must be a valid integer"),
        ({"environment": "prod"}, "apns.default.environment: 'prod' is wrong, it must be 'prod"),
        ({"protocol": "binry"}, "apns.default.protocol: 'binry' is wrong, it must be 'http2'"),
        ({"topic": ""}, "apns.default.topic: '' is wrong, it must not be empty"),
        ({"topic": "a b"}, "apns.default.topic: 'a b' is wrong"),
        ({"key_id": "ABC"}, "apns.default.key_id: 'ABC' is wrong, it must be 10 letters and"),
        ({"server": "http://h"}, "apns.default.server: 'http://h' is wrong, it must be https://"),
        ({"server": "https://h/path"}, "apns.default.server: 'https://h/path' is wrong"),
        ({"server": "https://h:x"}, "apns.default.server: 'https://h:x' is wrong, it must be a"),
        ({"server": "https://"}, "apns.default.server: 'https://' is wrong"),
        ({"unanswered": True}, "apns.default.unanswered: True is wrong, it must be 'resend'"),
        ({"rate": "9000"}, "apns.default.rate: '9000' is wrong, it must be a number above 0 and"),
        ({"rate": "0/s"}, "apns.default.rate: '0/s' is wrong"),
        ({"rate": "1e3/s"}, "apns.default.rate: '1e3/s' is wrong"),
        ({"rate": "9/d"}, "apns.default.rate: '9/d' is wrong"),
        ({"ramp": -1}, "apns.default.ramp: -1 is wrong"),
        ({"tiemout": 3}, "apns.default.tiemout: unknown key; did you mean timeout?"),
        ({"qqq": 3}, "apns.default.qqq: unknown key; there are assume_sent, broadcast_server,"),
        ({"name": "x"}, "apns.default.name: unknown key; the app is called as its table"),
    ],
)
def test_a_mistake_names_key_value_rule_and_way_out(values, line):
    assert mistakes_of({"apns": {"default": {**APNS, **values}}})[0].startswith(line)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({}, "key: missing; set key, key_id and team_id, or else certificate"),
        ({"key_id": "ABC1234567"}, "key: missing; set key, key_id and team_id"),
        ({"key": "a.p8", "team_id": "TEAM123456"}, "key_id: missing; set the 10 characters"),
        ({"key": "a.p8", "key_id": "ABC1234567"}, "team_id: missing; set the 10 characters"),
        ({**KEY, "certificate": "c.pem"}, "key: there is a certificate too, and Apple takes only"),
        ({"certificate": "c.pem", "key_id": "ABC1234567"}, "key_id: belongs to a key, and there"),
        ({**KEY, "certificate_key": "k.pem"}, "certificate_key: there is no certificate that it"),
        ({**KEY, "certificate_password": "x"}, "certificate_password: there is no certificate"),
        ({**KEY, "key": ""}, "key: this is wrong, it must not be empty"),
    ],
)
def test_there_is_one_complete_way_to_authenticate(values, line):
    lines = mistakes_of({"apns": {"default": {"topic": "a.b", **values}}})

    assert len(lines) == 1
    assert lines[0].startswith(f"apns.default.{line}")


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ({"apns": 3}, "apns: 3 is wrong, it must be a table of keys and values"),
        ({"gcm": {"default": "x"}}, "gcm.default: 'x' is wrong, it must be a table"),
        ({"gcm": {"default": ["x"]}}, "gcm.default: a list is wrong, it must be a table"),
        ({"redis_url": "http://h"}, "redis_url: 'http://h' is wrong, it must begin with redis://"),
        ({"apsn": {}}, "apsn: unknown key; did you mean apns?"),
    ],
)
def test_settings_of_the_wrong_shape_are_named(setting, line):
    assert mistakes_of(setting)[0].startswith(line)


def test_a_celery_setting_that_is_no_dict_is_named():
    with pytest.raises(InvalidSettings, match="Celery setting pushtasks is a str; it must be a"):
        load("pushtasks.toml")


def test_an_unknown_variable_is_named_with_the_nearest_known_one():
    lines = mistakes_of(PUSHTASKS_BROKER="redis://h")

    assert lines == ["PUSHTASKS_BROKER: unknown variable; did you mean PUSHTASKS_BROKER_URL?"]


def test_two_variables_cannot_set_the_same():
    lines = mistakes_of(PUSHTASKS_APNS="x", PUSHTASKS_APNS__DEFAULT__TOPIC="a")

    assert lines[0].startswith("PUSHTASKS_APNS__DEFAULT__TOPIC: another variable sets this")


def test_the_error_says_where_the_settings_were_read_from(tmp_path):
    (tmp_path / "pushtasks.toml").write_text("[apns.a]\ntopic = 'a'\n")

    with pytest.raises(InvalidSettings) as caught:
        load({"apns": {"a": {"retries": 1}}})

    file = tmp_path / "pushtasks.toml"
    assert str(caught.value).startswith(f"wrong setting (Celery setting pushtasks, {file}): apns.a")


def test_broken_toml_is_told_with_file_and_line(tmp_path):
    file = tmp_path / "pushtasks.toml"
    file.write_text('[apns.default]\ntopic = "a"\nkey_id ABC\n')

    with pytest.raises(InvalidSettings, match=rf"{file} is not TOML: .*line 3"):
        load()


def test_a_file_that_is_not_text_is_told(tmp_path):
    (tmp_path / "pushtasks.toml").write_bytes(b"\xff\xfe")

    with pytest.raises(InvalidSettings, match="is not UTF-8 text"):
        load()


def test_a_named_file_that_is_missing_is_told():
    with pytest.raises(InvalidSettings, match=r"none\.toml cannot be read \(No such file"):
        load(PUSHTASKS_CONFIG="none.toml")


def test_a_named_file_in_the_home_of_nobody_is_told():
    with pytest.raises(
        InvalidSettings, match=r"~no-such-user/p\.toml cannot be read \(No such file"
    ):
        load(PUSHTASKS_CONFIG="~no-such-user/p.toml")


def test_an_unknown_app_is_told_with_the_known_ones_and_where_to_add_it(tmp_path):
    settings = load({"apns": {"b": APNS, "a": APNS}})

    with pytest.raises(InvalidPush) as caught:
        settings.apns_app("defualt")
    assert "'defualt' is not in the apns settings (there are a, b)" in str(caught.value)
    assert str(tmp_path / "pushtasks.toml") in str(caught.value)
    with pytest.raises(InvalidPush, match="there are none"):
        settings.gcm_app("default")


def test_every_field_tells_what_to_set():
    for model in APPS.values():
        for name, field in model.model_fields.items():
            assert field.description, name


# The wires of 2014 ----------------------------------------------------------------------------


def test_a_gateway_app_needs_a_certificate_alone():
    app = load({"apns": {"x": {"protocol": "binary", "certificate": PEM}}}).apns_app("x")

    assert (app.gateway, app.feedback, app.pool_size, app.assume_sent) == (None, None, 2, 0.5)
    assert (app.confirm, app.command) == ("silence", 2)


def test_the_environment_may_choose_the_form_of_frames():
    app = {"protocol": "binary", "certificate": PEM}
    environ = {"PUSHTASKS_APNS__X__COMMAND": "1"}

    assert load_settings({"apns": {"x": app}}, environ=environ).apns_app("x").command == 1


def test_a_legacy_app_needs_an_api_key_alone():
    values = {"protocol": "legacy", "api_key": SECRET, "server": "http://127.0.0.1:5555/gcm/send"}
    app = load({"gcm": {"x": values}}).gcm_app("x")

    assert app.api_key.get_secret_value() == SECRET
    assert (app.form, app.server) == ("json", "http://127.0.0.1:5555/gcm/send")


@pytest.mark.parametrize(
    ("provider", "values", "line"),
    [
        ("apns", {"protocol": "binary"}, "key: the binary gateway takes no key; set certificate"),
        ("apns", {"protocol": "binary", **KEY}, "key: belongs to protocol 'http2'"),
        ("apns", {**APNS, "gateway": "h:1"}, "gateway: belongs to protocol 'binary'"),
        (
            "apns",
            {"protocol": "binary", "certificate": "c", "streams": 5},
            "streams: belongs to HTTP",
        ),
        (
            "apns",
            {"protocol": "binary", "certificate": "c", "server": "https://h"},
            "server: belongs",
        ),
        ("apns", {"protocol": "binary", "certificate": "c", "gateway": "h"}, "must be host:port"),
        (
            "apns",
            {"protocol": "binary", "certificate": "c", "command": 0, "confirm": "sentinel"},
            "command: 0 has no errors, and so confirm = 'sentinel' would wait in vain",
        ),
        ("apns", {"protocol": "binary", "certificate": "c", "command": 3}, "must be less than or"),
        ("apns", KEY, "topic: missing; set the app's bundle id"),
        ("gcm", {}, "credentials: missing; set the service account's JSON"),
        ("gcm", {"protocol": "legacy"}, "api_key: missing; set the API key"),
        ("gcm", {"credentials": "a", "api_key": SECRET}, "api_key: belongs to protocol 'legacy'"),
        ("gcm", {"credentials": "a", "server": "https://h/path"}, "nothing after it"),
        ("gcm", {"protocol": "legacy", "api_key": "k", "server": "https://h"}, "a whole URL"),
    ],
)
def test_what_a_protocol_needs_and_what_it_has_no_use_for(provider, values, line):
    lines = mistakes_of({provider: {"x": values}})

    assert any(line in one for one in lines), lines
    assert SECRET not in "".join(lines)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (
            {"poll_at": "25:00"},
            "feedback.poll_at: '25:00' is wrong, it must be from 00:00 to 23:59",
        ),
        ({"poll_at": "noon"}, "must be HH:MM"),
        ({"breaker": 2}, "feedback.breaker: 2 is wrong"),
        ({"lenght": 2}, "feedback.lenght: unknown key; did you mean length?"),
    ],
)
def test_mistakes_in_the_feedback_table_are_named(values, line):
    assert line in mistakes_of({"feedback": values})[0]


def test_nothing_is_served_and_logs_are_text_unless_it_is_asked_for():
    settings = load_settings(None, environ={})

    assert settings.metrics.addresses == []
    assert settings.logs.format == "text"


@pytest.mark.parametrize(
    ("listen", "addresses"),
    [
        ("127.0.0.1:9540", [("127.0.0.1", 9540)]),
        ("localhost:0", [("localhost", 0)]),
        ("[::1]:9540-9541", [("::1", 9540), ("::1", 9541)]),
        ("9540-9541", [("127.0.0.1", 9540), ("127.0.0.1", 9541)]),
        ("0", [("127.0.0.1", 0)]),
    ],
)
def test_metrics_are_served_at_the_addresses_that_are_set(listen, addresses):
    settings = load_settings(None, environ={"PUSHTASKS_METRICS__LISTEN": listen})

    assert settings.metrics.addresses == addresses


def test_a_port_alone_is_on_loopback():
    settings = load_settings({"metrics": {"listen": 9540}}, environ={})

    assert settings.metrics.addresses == [("127.0.0.1", 9540)]


@pytest.mark.parametrize(
    ("table", "values", "line"),
    [
        ("metrics", {"listen": "here"}, "metrics.listen: 'here' is wrong, it must be host:port"),
        ("metrics", {"listen": "::1:9540"}, "must be host:port, host:first-last or a port"),
        ("metrics", {"listen": True}, "must be host:port, host:first-last or a port"),
        ("metrics", {"listen": ["h:1"]}, "must be host:port, host:first-last or a port"),
        ("metrics", {"listen": "h:9549-9540"}, "must end with a port up to 65535"),
        ("metrics", {"listen": "h:1-9999"}, "or up to 1000 of them"),
        ("metrics", {"listen": "h:70000"}, "must end with a port up to 65535"),
        ("metrics", {"listne": "h:1"}, "metrics.listne: unknown key; did you mean listen?"),
        ("logs", {"format": "xml"}, "logs.format: 'xml' is wrong"),
    ],
)
def test_mistakes_of_those_who_watch_are_named(table, values, line):
    assert line in mistakes_of({table: values})[0]


# Secrets --------------------------------------------------------------------------------------

PLACES = [
    ("apns", {**APNS, "key": SECRET}),
    ("apns", {"topic": "a", "certificate": SECRET, "certificate_key": SECRET}),
    ("apns", {"topic": "a", "certificate": "c", "certificate_password": SECRET}),
    ("apns", {**APNS, "proxy": f"http://user:{SECRET}@h:1"}),
    ("gcm", {"credentials": SECRET}),
    ("gcm", {"protocol": "legacy", "api_key": SECRET}),
]


@pytest.mark.parametrize(("provider", "values"), PLACES)
def test_secrets_are_in_no_repr(provider, values):
    settings = load({provider: {"default": values}, "redis_url": f"redis://:{SECRET}@h"})

    assert SECRET not in f"{settings!r} {settings}"
    assert SECRET not in repr(settings.apns or settings.gcm)


@pytest.mark.parametrize(("provider", "values"), PLACES)
def test_secrets_are_in_no_message(provider, values):
    with pytest.raises(InvalidSettings) as caught:
        load({provider: {"default": {**values, "nonsense": SECRET, "retries": -1}}})

    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "values",
    [
        {"proxy": f"ftp://user:{SECRET}@h:1"},
        {"proxy": f"http://user:{SECRET}@h"},
        {"server": f"https://user:{SECRET}@h"},
        {"key": [SECRET]},
        {"certificate_password": {"a": SECRET}},
    ],
)
def test_a_wrong_secret_is_not_shown(values):
    lines = mistakes_of({"apns": {"default": {**APNS, **values}}})

    assert SECRET not in "\n".join(lines)


def test_a_password_in_a_wrong_redis_url_is_not_shown():
    assert SECRET not in mistakes_of({"redis_url": f"http://:{SECRET}@h"})[0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("provider", "values"), PLACES)
def test_a_worker_shows_celery_no_secret(name, provider, values, celery_app):
    celery_app.conf[name] = {provider: {"default": values}, "redis_url": f"redis://:{SECRET}@h"}

    conceal(sender=SimpleNamespace(app=celery_app))

    assert SECRET not in f"{celery_app.conf.table()} {celery_app.bugreport()}"
    assert f"{provider}.default" in celery_app.bugreport()
    settings = current_settings(celery_app)
    assert [*settings.apns, *settings.gcm] == ["default"]


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.text() | st.integers(), st.lists)))
def test_whatever_is_written_becomes_settings_or_a_line_for_each_mistake(values):
    try:
        load({"apns": {"default": values}, "gcm": {"default": values}})
    except InvalidSettings as error:
        assert "wrong setting" in str(error)  # noqa: PT017
    else:
        pytest.fail("there is no way to authenticate")


# By Celery app --------------------------------------------------------------------------------


@pytest.fixture
def celery_app():
    with Celery("host", set_as_current=False) as app:
        yield app


def test_settings_of_a_celery_app_are_read_once(celery_app):
    celery_app.conf.pushtasks = {"apns": {"default": APNS}}

    settings = current_settings(celery_app)

    assert settings.apns_app("default").topic == "com.example.app"
    assert current_settings(celery_app) is settings


def test_apps_do_not_share_settings(celery_app):
    with Celery("other", set_as_current=False) as other:
        celery_app.conf.pushtasks = {"apns": {"mine": APNS}}
        other.conf.pushtasks = {"apns": {"yours": APNS}}

        assert list(current_settings(celery_app).apns) == ["mine"]
        assert list(current_settings(other).apns) == ["yours"]


def test_settings_go_with_their_app():
    app = Celery("passing", set_as_current=False)
    settings = current_settings(app)
    gone = weakref.ref(app)

    app.close()
    del app
    gc.collect()

    assert gone() is None
    assert not settings.configured


@pytest.mark.parametrize("name", ["CELERY_PUSHTASKS", "PUSHTASKS"])
def test_a_django_project_may_write_the_setting_with_or_without_the_namespace(name, celery_app):
    class DjangoSettings:
        CELERY_BROKER_URL = "memory://"

    setattr(DjangoSettings, name, {"apns": {"default": APNS}})
    celery_app.config_from_object(DjangoSettings, namespace="CELERY")

    assert list(current_settings(celery_app).apns) == ["default"]


@pytest.mark.parametrize(
    ("broker", "backend", "expected"),
    [
        ("redis://b/0", "redis://r/3", "redis://r/3"),
        ("redis://b/0", None, "redis://b/0"),
        ("redis://b/0", "rpc://", "redis://b/0"),
        (["redis://b/0", "redis://c/0"], None, "redis://b/0"),
        ("amqp://b", "rpc://", None),
        ("amqp://b", "redis+socket:///r.sock?virtual_host=3", "unix:///r.sock?db=3"),
    ],
)
def test_redis_defaults_to_that_of_the_results_then_of_the_broker(
    broker, backend, expected, celery_app
):
    celery_app.conf.broker_url = broker
    celery_app.conf.result_backend = backend

    assert current_settings(celery_app).redis_url == expected


@pytest.mark.parametrize("name", ["broker_url", "result_backend"])
def test_a_broker_or_result_backend_that_nobody_can_read_is_named_and_not_repeated(
    name, celery_app
):
    celery_app.conf.result_backend = None
    celery_app.conf[name] = f"redis://:{SECRET}/x@host:6379/0"

    with pytest.raises(
        InvalidSettings, match=f"^{name} is no URL whose port is a number"
    ) as caught:
        current_settings(celery_app)
    assert SECRET not in str(caught.value)


def test_a_redis_of_our_own_comes_first(celery_app):
    celery_app.conf.broker_url = "redis://b/0"
    celery_app.conf.pushtasks = {"redis_url": "redis://own/5"}

    assert current_settings(celery_app).redis_url == "redis://own/5"


def test_apps_made_by_hand_are_checked_too():
    with pytest.raises(ValueError, match="key_id"):
        ApnsApp(name="x", topic="a.b", key="k.p8")
    assert GcmApp(name="x", credentials="{}").streams == 100


def test_mistakes_come_as_lines_each_with_its_key(tmp_path):
    wrong = {"apns": {"default": {**APNS, "key_id": "short", "topik": "a.b"}}, "gmc": {}}

    lines = mistakes_in(wrong, environ={"PUSHTASKS_NOBODY": "1"}, directory=tmp_path)

    assert [line.partition(":")[0] for line in lines] == [
        "PUSHTASKS_NOBODY",
        "apns.default.key_id",
        "apns.default.topik",
        "gmc",
    ]
    assert mistakes_in({"apns": {"default": APNS}}, environ={}, directory=tmp_path) == []


def test_what_cannot_be_read_at_all_is_one_mistake(tmp_path):
    missing = {"PUSHTASKS_CONFIG": str(tmp_path / "none.toml")}

    [no_file] = mistakes_in(None, environ=missing, directory=tmp_path)
    [no_dict] = mistakes_in("x", environ={}, directory=tmp_path)

    assert "none.toml cannot be read (No such file or directory)" in no_file
    assert no_dict.startswith("Celery setting pushtasks is a str; it must be a dict")


def test_an_app_goes_by_settings_that_it_was_given(tmp_path, monkeypatch):
    monkeypatch.setenv("PUSHTASKS_CONFIG", str(tmp_path / "none.toml"))
    given = load_settings({"apns": {"default": APNS}}, environ={}, directory=tmp_path)
    with Celery("given", set_as_current=False) as celery_app:
        use_settings(celery_app, given)

        assert current_settings(celery_app) is given
