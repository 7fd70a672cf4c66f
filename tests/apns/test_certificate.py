import base64
import hashlib
import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from pushtasks.apns.certificate import certificate_expiry, load_certificate
from pushtasks.config import load_settings
from pushtasks.errors import InvalidSettings
from pushtasks.keyfiles import read_key_material

PASSWORD = "hunter2"

#: SEQUENCE { "com.example.app", { "app" }, "com.example.app.voip", { "voip" } }
TOPICS = bytes.fromhex(
    "3036"
    "0c0f"
    + b"com.example.app".hex()
    + "3005"
    + "0c03"
    + b"app".hex()
    + "0c14"
    + b"com.example.app.voip".hex()
    + "3006"
    + "0c04"
    + b"voip".hex()
)


def bundle(certificate, key, password=None, chain=None):
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return pkcs12.serialize_key_and_certificates(b"push", key, certificate, chain, encryption)


def refusal(*arguments, **options):
    with pytest.raises(InvalidSettings) as caught:
        load_certificate(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert "BEGIN PRIVATE" not in message
    assert PASSWORD not in message
    return message


@pytest.fixture(scope="session")
def certificate(issue, p256):
    return issue(p256, extensions={"1.2.840.113635.100.6.3.6": TOPICS})


@pytest.fixture(scope="session")
def pem(certificate):
    return certificate.public_bytes(Encoding.PEM)


@pytest.fixture(params=["pem", "pem in one text", "der", "pkcs12"])
def forms(request, certificate, pem, p256, encode_key):
    """(password) → (certificate, key) in each form in which people have them."""

    def of(password):
        key = encode_key(p256, password)
        if request.param == "pem":
            return pem, key
        if request.param == "pem in one text":
            return key + pem, None
        if request.param == "der":
            der = certificate.public_bytes(Encoding.DER)
            return der, encode_key(p256, password, Encoding.DER)
        return bundle(certificate, p256, password), None

    return of


@pytest.fixture
def topics_of(issue, p256, encode_key):
    """(extensions, uid) → the topics of a certificate that has these."""

    def of(extensions, uid):
        one = issue(p256, extensions=extensions, uid=uid).public_bytes(Encoding.PEM)
        return load_certificate(one, encode_key(p256)).topics

    return of


@pytest.mark.parametrize("password", [None, PASSWORD])
def test_every_form_gives_the_same(forms, password, pem, p256):
    loaded = load_certificate(*forms(password), password)
    assert loaded.certificate_pem == pem
    key = load_pem_private_key(loaded.key_pem, None)
    assert key.private_numbers() == p256.private_numbers()


@pytest.mark.parametrize("way", ["path", "text", "base64"])
@pytest.mark.parametrize("password", [None, PASSWORD])
def test_every_form_comes_by_every_way(forms, password, way, pem, tmp_path):
    def given(material, name):
        if material is None:
            return None
        if way == "path":
            (tmp_path / name).write_bytes(material)
            return read_key_material(name, setting=name, directory=tmp_path)
        if way == "text" and material.startswith(b"-----BEGIN"):
            return read_key_material(material.decode(), setting=name)
        return read_key_material(base64.b64encode(material).decode(), setting=name)

    certificate, key = forms(password)
    loaded = load_certificate(given(certificate, "a.pem"), given(key, "b.pem"), password)
    assert loaded.certificate_pem == pem


def test_password_of_what_is_not_encrypted_is_not_used(forms, pem):
    assert load_certificate(*forms(None), PASSWORD).certificate_pem == pem


def test_missing_password_is_told(forms):
    message = refusal(*forms(PASSWORD))
    assert "password" in message
    assert "set certificate_password" in message


def test_wrong_password_is_told(forms):
    message = refusal(*forms(PASSWORD), "hunter3")
    assert "with certificate_password" in message
    assert "openssl" in message
    assert "hunter3" not in message


def test_tells_what_is_worth_knowing(certificate, p256, encode_key, pem):
    loaded = load_certificate(pem, encode_key(p256))
    assert loaded.expires == certificate.not_valid_after_utc
    assert loaded.expires.utcoffset() == timedelta()
    assert loaded.topics == ("com.example.app", "com.example.app.voip")
    der = certificate.public_bytes(Encoding.DER)
    assert loaded.fingerprint == hashlib.sha256(der).hexdigest()


def test_shows_no_key(p256, encode_key, pem):
    assert "BEGIN" not in repr(load_certificate(pem, encode_key(p256)))


@pytest.mark.parametrize(
    ("extensions", "uid", "expected"),
    [
        ({}, "com.example.app", ("com.example.app",)),
        ({}, None, ()),
        ({"1.2.840.113635.100.6.3.4": b"\x05\x00"}, "a.b.voip", ("a.b.voip",)),
        ({"1.2.840.113635.100.6.3.4": b"\x30\x0a\x0c\x08a.b.voip"}, "a.b", ("a.b", "a.b.voip")),
        ({"1.2.840.113635.100.6.3.6": b""}, "a.b", ("a.b",)),
        ({"1.2.840.113635.100.6.3.6": b"\x30"}, "a.b", ("a.b",)),
        ({"1.2.840.113635.100.6.3.6": b"\x30\x03\x0c\x01\xff"}, "a.b", ("a.b",)),
        (
            {"1.2.840.113635.100.6.3.6": b"\x30\x81\x83\x0c\x81\x80" + b"a" * 128},
            None,
            ("a" * 128,),
        ),
        ({"1.2.840.113635.100.6.3.6": b"\x0c\x03a.c"}, "a.b", ("a.b",)),
    ],
)
def test_topics_are_those_of_subject_and_extensions(topics_of, extensions, uid, expected):
    assert topics_of(extensions, uid) == expected


def test_own_certificate_comes_first_whatever_the_order(pem, p256, encode_key):
    authority = trustme.CA().cert_pem.bytes()
    for given in (pem + authority, authority + pem):
        assert load_certificate(given, encode_key(p256)).certificate_pem == pem + authority


def test_tls_takes_what_is_loaded(tmp_path):
    leaf = trustme.CA().issue_cert("push.example.com")
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    loaded = load_certificate(chain, leaf.private_key_pem.bytes())
    (tmp_path / "all.pem").write_bytes(loaded.certificate_pem + loaded.key_pem)
    ssl.create_default_context().load_cert_chain(tmp_path / "all.pem")


def test_rsa_and_its_traditional_encoding_are_taken(issue, rsa_key):
    key = rsa_key.private_bytes(
        Encoding.PEM,
        PrivateFormat.TraditionalOpenSSL,
        BestAvailableEncryption(PASSWORD.encode()),
    )
    one = issue(rsa_key).public_bytes(Encoding.PEM)
    assert load_certificate(one, key, PASSWORD).topics == ("com.example.app",)


class TestRefused:
    def test_expired(self, issue, p256, encode_key):
        one = issue(p256, days=-1)
        message = refusal(one.public_bytes(Encoding.PEM), encode_key(p256))
        assert "UID=com.example.app" in message
        assert f"expired on {one.not_valid_after_utc:%Y-%m-%d}" in message
        assert "make a new one" in message

    def test_expired_at_the_time_asked_for(self, pem, p256, encode_key):
        message = refusal(pem, encode_key(p256), now=datetime.now(UTC) + timedelta(days=31))
        assert "expired on" in message

    def test_with_the_key_of_another(self, pem, p384, encode_key):
        message = refusal(pem, encode_key(p384))
        assert message.startswith("certificate_key is not the key of certificate")
        assert "com.example.app" in message
        assert "belong together" in message

    @pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
    def test_without_a_key(self, certificate, encoding):
        message = refusal(certificate.public_bytes(encoding))
        assert message.startswith("certificate comes without its private key")
        assert "set certificate_key" in message

    def test_pkcs12_without_a_key_unless_that_is_given(self, certificate, p256, encode_key, pem):
        alone = pkcs12.serialize_key_and_certificates(None, None, certificate, None, NoEncryption())
        assert "set certificate_key" in refusal(alone)
        assert load_certificate(alone, encode_key(p256)).certificate_pem == pem

    def test_pkcs12_without_a_certificate(self, p256):
        message = refusal(bundle(None, p256))
        assert "PKCS#12 file without a certificate" in message

    @pytest.mark.parametrize(
        ("material", "fault"),
        [
            (b"rubbish", "7 bytes that are neither PEM nor PKCS#12 nor DER"),
            (b"", "0 bytes that are neither"),
            (b"\x30\x03\x02\x01\x03", "PKCS#12 file that cannot be opened without a password"),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no block BEGIN"),
            (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no block BEGIN"),
        ],
    )
    def test_rubbish(self, material, fault, p256, encode_key):
        message = refusal(material, encode_key(p256))
        assert message.startswith("certificate ")
        assert fault in message

    def test_rubbish_for_a_key(self, pem):
        message = refusal(pem, b"rubbish")
        assert message.startswith("certificate_key is no private key that can be read")


@pytest.mark.parametrize("days", [-1, 30])
def test_the_expiry_of_an_app_is_told_even_if_it_has_passed(days, issue, p256, encode_key):
    one = issue(p256, days=days)
    settings = load_settings(
        {
            "apns": {
                "classic": {
                    "protocol": "binary",
                    "certificate": one.public_bytes(Encoding.PEM).decode(),
                    "certificate_key": encode_key(p256).decode(),
                }
            }
        },
        environ={},
    )

    assert certificate_expiry(settings.apns_app("classic")) == one.not_valid_after_utc


def test_an_app_with_a_key_has_no_expiry():
    key = {"key": "key.p8", "key_id": "ABC1234567", "team_id": "TEAM123456"}
    settings = load_settings({"apns": {"default": {"topic": "a.b", **key}}}, environ={})

    assert certificate_expiry(settings.apns_app("default")) is None
