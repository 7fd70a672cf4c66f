"""Keys and certificates as Apple hands them out, made for one test run."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


def pkcs8(key, password=None, encoding=Encoding.PEM):
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(encoding, PrivateFormat.PKCS8, encryption)


@pytest.fixture(scope="session")
def encode_key():
    """(key, password=None, encoding=PEM) → PKCS#8."""
    return pkcs8


@pytest.fixture(scope="session")
def p256():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="session")
def p384():
    return ec.generate_private_key(ec.SECP384R1())


@pytest.fixture(scope="session")
def rsa_key():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def issue(rsa_key):
    """(key, days left, extensions as object id → DER, uid) → certificate of an app."""
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Pretend Worldwide Developer")])

    def make(key, *, days=30, extensions=None, uid="com.example.app"):
        now = datetime.now(UTC)
        names = [x509.NameAttribute(NameOID.COMMON_NAME, "Apple Push Services: com.example.app")]
        if uid is not None:
            names.append(x509.NameAttribute(NameOID.USER_ID, uid))
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(names))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=400))
            .not_valid_after(now + timedelta(days=days))
        )
        for identifier, der in (extensions or {}).items():
            value = x509.UnrecognizedExtension(x509.ObjectIdentifier(identifier), der)
            builder = builder.add_extension(value, critical=False)
        return builder.sign(rsa_key, SHA256())

    return make
