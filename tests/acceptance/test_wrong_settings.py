"""An operator's mistakes: said in one line by the tasks they concern, and by no others."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from pushtasks import InvalidPush, InvalidSettings

TOKEN = "ab" * 32
TIMEOUT = 30
#: Stands where keys stand, and is to be seen nowhere.
SECRET = "MIGHAgEAMBMGByqGSM49hunter2"


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def expired_certificate(key):
    """Return a push certificate that was good until yesterday."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, "Apple Push Services: com.example.app"),
            x509.NameAttribute(NameOID.USER_ID, "com.example.app"),
        ]
    )
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(yesterday - timedelta(days=365))
        .not_valid_after(yesterday)
        .sign(key, SHA256())
        .public_bytes(Encoding.PEM)
    )


@pytest.fixture
def broken(settings, tmp_path):
    """The settings with apps whose keys cannot be used, beside the good ones."""
    key = ec.generate_private_key(ec.SECP256R1())
    garbage = f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n"
    files = {
        "garbage.p8": garbage.encode(),
        "rsa.p8": pem(rsa.generate_private_key(65537, 2048)),
        "expired.pem": expired_certificate(key) + pem(key),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    good = settings["apns"]["default"]
    unsigned = {name: good[name] for name in ("topic", "server", "ca_file")}
    settings["apns"] |= {
        "missing": good | {"key": str(tmp_path / "AuthKey_NONE.p8")},
        "garbage": good | {"key": str(tmp_path / "garbage.p8")},
        "inline": good | {"key": SECRET * 3},
        "rsa": good | {"key": str(tmp_path / "rsa.p8")},
        "expired": unsigned | {"certificate": str(tmp_path / "expired.pem")},
    }
    settings["gcm"]["missing"] = settings["gcm"]["default"] | {"credentials": "/no/such.json"}
    settings["gcm"]["inline"] = settings["gcm"]["default"] | {
        "credentials": json.dumps({"type": "service_account", "private_key": SECRET})
    }
    return settings


def failure(result, kind=InvalidSettings):
    with pytest.raises(kind) as caught:
        result.get(TIMEOUT)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_an_app_that_cannot_be_used_fails_with_what_to_do_while_others_go_on(
    start_worker, write_settings, broken, tasks
):
    worker = start_worker("-P", "threads", "-c", "4", **write_settings(broken))
    expected = {
        "missing": ("AuthKey_NONE.p8", "there is no such file", "give the path"),
        "garbage": ("key", "private key", ""),
        "inline": ("key", "characters that are neither", "give one of these"),
        "rsa": ("kind RSA", "EC P-256 only", "give the .p8 file"),
        "expired": ("certificate", "expired", "new"),
    }
    for app, parts in expected.items():
        message = failure(tasks.send_apns.delay(TOKEN, "Hi", app=app))
        assert f"apns.{app}" in message
        for part in parts:
            assert part in message
        assert failure(tasks.send_apns_many.delay([TOKEN], "Hi", app=app)) == message
    for app, part in (("missing", "credentials names /no/such.json"), ("inline", "client_email")):
        message = failure(tasks.send_gcm.delay("id", "Hi", app=app))
        assert f"gcm.{app}" in message
        assert part in message

    assert failure(tasks.send_apns.delay(TOKEN, "Hi", app="nope"), InvalidPush)
    assert tasks.send_apns.delay(TOKEN, "Hi").get(TIMEOUT)["outcome"] == "accepted"
    assert tasks.send_gcm.delay("id", "Hi").get(TIMEOUT)["outcome"] == "accepted"
    assert "InvalidSettings" in worker.log
    assert SECRET not in worker.log


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ('[apns.default]\ntopik = "com.example.app"', ["apns.default.topik", "topic"]),
        ("[apns.default\n", ["broken.toml", "line 1"]),
        ('[apns.default]\ntopic = "com.example.app"\ntimeout = "soon"', ["timeout", "seconds"]),
        (f'[apns.default]\nkey = "{SECRET}"', ["apns.default.topic", "bundle id"]),
    ],
    ids=["unknown name", "no TOML", "wrong kind", "missing name"],
)
def test_settings_that_cannot_be_read_are_named_with_their_place(
    written, parts, start_worker, tasks, tmp_path
):
    path = tmp_path / "broken.toml"
    path.write_text(written)
    worker = start_worker("-P", "threads", "-c", "2", PUSHTASKS_CONFIG=str(path))

    with pytest.raises(InvalidSettings) as caught:
        tasks.send_apns.delay(TOKEN, "Hi").get(TIMEOUT)

    message = str(caught.value)
    for part in parts:
        assert part in message
    assert SECRET not in message + worker.log
