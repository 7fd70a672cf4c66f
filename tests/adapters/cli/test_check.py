from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def certificate(days):
    """Return a certificate that ends in so many days, with its key, as PEM."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Apple Push Services: example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days, hours=1))
        .sign(key, SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made.public_bytes(Encoding.PEM) + pem


@pytest.fixture
def check(pushtasks):
    """(arguments, variables) → exit status, and findings by subject."""

    def run(*arguments, **variables):
        ran = pushtasks("check", "--json", *arguments, **variables)
        document = ran.json()
        assert document["ok"] is (ran.status == 0)
        return ran.status, {
            one["subject"]: (one["state"], one["detail"]) for one in document["findings"]
        }

    return run


@pytest.fixture
def settings(tmp_path):
    """(text) → pushtasks.toml in the working directory."""
    return (tmp_path / "pushtasks.toml").write_text


def test_a_healthy_installation_is_found_well(check, here):
    status, found = check(**here)

    assert status == 0
    assert {state for state, _ in found.values()} == {"ok"}
    assert found["apns.default key"][1] == "EMULATOR01 of team TEAM123456, EC P-256"
    assert "TLS verified and HTTP/2 agreed on" in found["apns.default server"][1]
    assert "TLS verified and HTTP/2 agreed on" in found["gcm.default server"][1]
    assert found["gcm.default access token"][1] == "granted for 60 minutes"
    assert "push.bulk" in found["workers"][1]
    assert {"broker", "results", "gcm.default credentials", "settings"} < found.keys()


def test_a_legacy_server_is_asked_what_it_thinks_of_the_api_key_and_sent_no_push(check, emulator):
    settings = str(emulator.directory / "pushtasks.toml")

    _, found = check("--app", "classic", PUSHTASKS_CONFIG=settings)
    assert found["gcm.classic server"] == (
        "ok",
        f"{emulator.endpoints.gcm}: answers, and does not refuse the API key",
    )
    assert not [push for push in emulator.received() if push["payload"] or push["token"]]

    emulator.control("POST", "/faults", {"service": "gcm", "status": 401, "times": 1})
    status, found = check("--app", "classic", PUSHTASKS_CONFIG=settings)
    assert (status, found["gcm.classic server"][0]) == (1, "wrong")
    assert "refuses the API key: check api_key" in found["gcm.classic server"][1]

    emulator.control("POST", "/faults", {"service": "gcm", "status": 404, "times": 1})
    _, found = check("--app", "classic", PUSHTASKS_CONFIG=settings)
    assert "answers HTTP 404: check server" in found["gcm.classic server"][1]


def test_people_get_a_table(pushtasks, here):
    ran = pushtasks("check", "--no-connect", **here)

    assert ran.status == 0
    assert ["✓", "apns.default", "key", "EMULATOR01", "of"] in [row[:5] for row in ran.rows]


def test_the_ends_of_certificates_are_seen(check, settings, tmp_path):
    for days in (400, 12, -1):
        (tmp_path / f"{days}.pem").write_bytes(certificate(days))
    settings(
        "\n".join(
            f'[apns.{name}]\ntopic = "com.example.app"\ncertificate = "{days}.pem"'
            for name, days in (("new", 400), ("old", 12), ("dead", -1))
        )
    )

    status, found = check("--no-connect")

    assert status == 1
    assert found["apns.new certificate"][0] == "ok"
    assert found["apns.new certificate"][1].endswith("in 400 days")
    assert found["apns.old certificate"][0] == "warning"
    assert "in 12 days: make a new one" in found["apns.old certificate"][1]
    assert found["apns.dead certificate"][0] == "wrong"
    assert "expired on" in found["apns.dead certificate"][1]


def test_a_warning_is_no_failure(check, settings, tmp_path):
    (tmp_path / "apns.pem").write_bytes(certificate(29))
    settings('[apns.default]\ntopic = "com.example.app"\ncertificate = "apns.pem"\n')

    status, found = check("--no-connect")

    assert (status, found["apns.default certificate"][0]) == (0, "warning")


def test_every_mistake_in_the_settings_is_a_finding(pushtasks, settings):
    settings(
        '[apns.default]\ntopic = "a b"\nkey = "x.p8"\nkey_id = "short"\nteam_id = "TEAM123456"\n'
    )

    ran = pushtasks("check", "--no-connect", "--json")

    details = [one["detail"] for one in ran.json()["findings"]]
    assert ran.status == 1
    assert [detail.partition(":")[0] for detail in details] == [
        "apns.default.topic",
        "apns.default.key_id",
    ]


NO_KEY = """
[apns.default]
topic = "com.example.app"
key = "gone.p8"
key_id = "ABC1234567"
team_id = "TEAM123456"
"""


@pytest.mark.parametrize(
    ("text", "subject", "told"),
    [
        ("", "settings", "there is no app"),
        ("[", "settings", "is not TOML"),
        (NO_KEY, "apns.default key", "there is no such file"),
        ('[gcm.default]\ncredentials = "{}"\n', "gcm.default credentials", "missing"),
    ],
)
def test_what_cannot_be_used_is_told(text, subject, told, check, settings):
    settings(text)

    status, found = check("--no-connect")

    assert (status, found[subject][0]) == (1, "wrong")
    assert told in found[subject][1]


@pytest.mark.parametrize(
    ("ca_file", "told"),
    [(__file__, "(no certificate)"), ("gone.pem", "(No such file or directory)")],
)
def test_authorities_that_cannot_be_used_are_told(ca_file, told, check, emulator, settings):
    text = f"""
        [apns.classic]
        protocol = "binary"
        certificate = "{emulator.directory}/client.pem"
        certificate_key = "{emulator.directory}/client-key.pem"
        gateway = "127.0.0.1:1"
        feedback = "127.0.0.1:1"
        ca_file = "{ca_file}"
    """
    settings(text)

    status, found = check("--no-connect")

    assert status == 1
    told_of = [detail for state, detail in found.values() if state == "wrong"]
    assert f"{told}; give a PEM file" in told_of[0]


def test_servers_and_broker_that_cannot_be_reached_are_told(check, emulator):
    status, found = check(
        PUSHTASKS_CONFIG=str(emulator.directory / "pushtasks.toml"),
        PUSHTASKS_APNS__OTHER__TOPIC="com.example.app",
        PUSHTASKS_APNS__OTHER__KEY=str(emulator.directory / "apns-key.p8"),
        PUSHTASKS_APNS__OTHER__KEY_ID="EMULATOR01",
        PUSHTASKS_APNS__OTHER__TEAM_ID="TEAM123456",
        PUSHTASKS_APNS__OTHER__SERVER="https://127.0.0.1:1",
        PUSHTASKS_BROKER_URL="redis://127.0.0.1:1/0",
    )

    assert status == 1
    assert found["apns.default server"][0] == "ok"
    assert found["apns.other server"][0] == "wrong"
    assert "https://127.0.0.1:1 cannot be reached" in found["apns.other server"][1]
    assert "redis://127.0.0.1:1/0 cannot be reached" in found["broker"][1]
    assert not [push for push in emulator.received() if push["payload"]]


def test_a_server_that_is_not_trusted_is_told(check, emulator):
    _, found = check(
        PUSHTASKS_APNS__DEFAULT__TOPIC="com.example.app",
        PUSHTASKS_APNS__DEFAULT__KEY=str(emulator.directory / "apns-key.p8"),
        PUSHTASKS_APNS__DEFAULT__KEY_ID="EMULATOR01",
        PUSHTASKS_APNS__DEFAULT__TEAM_ID="TEAM123456",
        PUSHTASKS_APNS__DEFAULT__SERVER=emulator.endpoints.apns,
        PUSHTASKS_BROKER_URL="redis://127.0.0.1:1/0",
    )

    assert found["apns.default server"][0] == "wrong"
    assert "certificate" in found["apns.default server"][1]


def test_missing_workers_are_told(check, emulator, redis_server):
    status, found = check(
        PUSHTASKS_CONFIG=str(emulator.directory / "pushtasks.toml"),
        PUSHTASKS_BROKER_URL=redis_server.url(),
    )

    assert (status, found["broker"][0], found["results"][0]) == (1, "ok", "ok")
    assert found["workers"] == (
        "wrong",
        "none answers: start one with  celery -A pushtasks worker",
    )


def test_an_unknown_app_is_wrong_use(pushtasks, emulator):
    settings = str(emulator.directory / "pushtasks.toml")

    ran = pushtasks("check", "--app", "nope", "--no-connect", PUSHTASKS_CONFIG=settings)

    assert ran.status == 2
    assert ran.error == "--app: there is no app 'nope' in the settings; there are classic, default"
