"""The client certificate of an app: PEM or PKCS#12 → what a TLS connection needs.

Source: Apple, "Establishing a certificate-based connection to APNs".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from pushtasks.config import ApnsApp
from pushtasks.errors import InvalidSettings
from pushtasks.keyfiles import PEM, load_private_key, read_key_material
from pushtasks.wire import apns_http2 as wire

_UTF8_STRING: Final = 0x0C
_SEQUENCE: Final = 0x30
_LONG_FORM: Final = 0x80
#: With what a PKCS#12 file begins, after its length: its version, 3.
_PKCS12_VERSION: Final = b"\x02\x01\x03"
_PKCS12_VERSION_WITHIN: Final = 10


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate with its key, ready for TLS."""

    #: The app's certificate, then those that lead to its root.
    certificate_pem: bytes = field(repr=False)
    #: PKCS#8, not encrypted.
    key_pem: bytes = field(repr=False)
    #: Aware, UTC.
    expires: datetime
    #: What it may push to; empty if it does not tell.
    topics: tuple[str, ...]
    #: SHA-256 of the app's certificate, in hexadecimal: tells one identity from another.
    fingerprint: str


def load_certificate(
    certificate: bytes,
    key: bytes | None = None,
    password: str | None = None,
    *,
    now: datetime | None = None,
) -> ClientCertificate:
    """Read a client certificate and its private key.

    Args:
        certificate: PEM (in any order, with or without the key), DER, or PKCS#12.
        key: PEM or DER; None if the certificate's file has it.
        password: Of the key or of the PKCS#12 file; not used if nothing is encrypted.
        now: Aware; None: the present.

    Raises:
        InvalidSettings: Unreadable, expired, without key or with the key of another certificate,
            or its password is missing or wrong. No message tells anything of the key.
    """
    private_key, certificates = _contents(certificate, key, password)
    public_key = private_key.public_key()
    chain = sorted(certificates, key=lambda one: one.public_key() != public_key)
    own = chain[0]
    if own.public_key() != public_key:
        raise InvalidSettings(
            f"certificate_key is not the key of certificate {_subject(own)}: they must belong "
            "together; export both anew from the same keychain entry"
        )
    _refuse_expired(own, now or datetime.now(UTC))
    return ClientCertificate(
        certificate_pem=b"".join(one.public_bytes(Encoding.PEM) for one in chain),
        key_pem=private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        expires=own.not_valid_after_utc,
        topics=_topics(own),
        fingerprint=own.fingerprint(SHA256()).hex(),
    )


def app_certificate(app: ApnsApp, *, now: datetime | None = None) -> ClientCertificate:
    """Read the client certificate that an app's settings name.

    Args:
        app: The app.
        now: As of `load_certificate`.

    Raises:
        InvalidSettings: As `load_certificate`; or a file that they name cannot be read.
    """

    def material(name: str, value: SecretStr) -> bytes:
        return read_key_material(value.get_secret_value(), setting=f"apns.{app.name}.{name}")

    certificate, key, password = app.certificate, app.certificate_key, app.certificate_password
    if certificate is None:
        raise InvalidSettings(f"apns.{app.name}: there is no certificate; set certificate")
    return load_certificate(
        material("certificate", certificate),
        material("certificate_key", key) if key else None,
        password.get_secret_value() if password else None,
        now=now,
    )


def certificate_expiry(app: ApnsApp) -> datetime | None:
    """Return when the client certificate of an app expires, or has expired; None if it has none.

    Raises:
        InvalidSettings: It cannot be read.
    """
    if app.certificate is None:
        return None
    return app_certificate(app, now=datetime.min.replace(tzinfo=UTC)).expires


Contents = tuple[PrivateKeyTypes, list[x509.Certificate]]


def _contents(certificate: bytes, key: bytes | None, password: str | None) -> Contents:
    if PEM in certificate:
        certificates = _from_pem(certificate)
    elif _PKCS12_VERSION in certificate[:_PKCS12_VERSION_WITHIN]:
        private_key, certificates = _from_pkcs12(certificate, password)
        if private_key is not None:
            return private_key, certificates
    else:
        certificates = _from_der(certificate)
    if key is None and b"PRIVATE KEY-----" not in certificate:
        raise InvalidSettings(
            "certificate comes without its private key: set certificate_key to the file that has "
            "it, or give a PKCS#12 file that has both"
        )
    private_key = load_private_key(
        certificate if key is None else key,
        setting="certificate" if key is None else "certificate_key",
        password=password,
        unlocked_by="certificate_password",
    )
    return private_key, certificates


def _from_pem(material: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(material)
    except ValueError:
        raise InvalidSettings(
            "certificate has no block BEGIN CERTIFICATE that can be read: give the PEM file of "
            "the certificate, or a PKCS#12 file"
        ) from None


def _from_der(material: bytes) -> list[x509.Certificate]:
    try:
        return [x509.load_der_x509_certificate(material)]
    except ValueError:
        raise InvalidSettings(
            f"certificate has {len(material)} bytes that are neither PEM nor PKCS#12 nor DER: "
            "export it anew from the keychain or download it from Apple's developer account"
        ) from None


def _from_pkcs12(
    material: bytes, password: str | None
) -> tuple[PrivateKeyTypes | None, list[x509.Certificate]]:
    found = _opened_pkcs12(material, password)
    own = [] if found.cert is None else [found.cert]
    certificates = [one.certificate for one in (*own, *found.additional_certs)]
    if not certificates:
        raise InvalidSettings(
            "certificate is a PKCS#12 file without a certificate: export it with the certificate "
            "and its key"
        )
    return found.key, certificates


def _opened_pkcs12(material: bytes, password: str | None) -> pkcs12.PKCS12KeyAndCertificates:
    for attempt in (password.encode(), None) if password else (None,):
        try:
            return pkcs12.load_pkcs12(material, attempt)
        except (ValueError, UnsupportedAlgorithm):
            continue
    raise InvalidSettings(
        "certificate is a PKCS#12 file that cannot be opened "
        + ("with certificate_password" if password else "without a password")
        + ": set certificate_password to the one it was exported with; try `openssl pkcs12 -in "
        "FILE -noout`"
    )


def _refuse_expired(certificate: x509.Certificate, now: datetime) -> None:
    expires = certificate.not_valid_after_utc
    if expires <= now:
        raise InvalidSettings(
            f"certificate {_subject(certificate)} expired on {expires:%Y-%m-%d}: make a new one "
            "in Apple's developer account, or change to a key, which does not expire"
        )


def _subject(certificate: x509.Certificate) -> str:
    return repr(certificate.subject.rfc4514_string())


def _topics(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the topics of Apple's extensions and, first, the one of the subject's UID."""
    found = [
        str(attribute.value)
        for attribute in certificate.subject.get_attributes_for_oid(NameOID.USER_ID)
    ]
    for identifier in (wire.TOPICS_EXTENSION, wire.VOIP_TOPICS_EXTENSION):
        found += _strings(_extension(certificate, identifier))
    return tuple(dict.fromkeys(found))


def _extension(certificate: x509.Certificate, identifier: str) -> bytes:
    try:
        extension = certificate.extensions.get_extension_for_oid(
            x509.ObjectIdentifier(identifier)
        ).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return b""
    return extension.value if isinstance(extension, x509.UnrecognizedExtension) else b""


def _strings(der: bytes) -> list[str]:
    """Return the texts directly within a SEQUENCE; each topic is one, its services are deeper."""
    try:
        return [
            content.decode()
            for outer, sequence in _elements(der)
            if outer == _SEQUENCE
            for tag, content in _elements(sequence)
            if tag == _UTF8_STRING
        ]
    except (IndexError, UnicodeDecodeError):  # not the form that Apple gives it
        return []


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (tag, content) of DER elements that follow each other."""
    offset = 0
    while offset < len(der):
        tag, length = der[offset], der[offset + 1]
        offset += 2
        if length > _LONG_FORM:
            size = length - _LONG_FORM
            length = int.from_bytes(der[offset : offset + size])
            offset += size
        yield tag, der[offset : offset + length]
        offset += length
