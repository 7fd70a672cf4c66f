"""The keys and certificates of the emulator: made once in its directory, used again ever after."""

import datetime as dt
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from trustme import CA

from pushtasks.emulator.files import EmulatorError, Endpoints, write
from pushtasks.emulator.oauth import PATH as TOKEN_PATH
from pushtasks.emulator.oauth import ServiceAccount
from pushtasks.emulator.provider_tokens import SigningKey

KEY_ID: Final = "EMULATOR01"
TEAM_ID: Final = "TEAM123456"
TOPIC: Final = "com.example.app"
PROJECT: Final = "pushtasks-emulator"
EMAIL: Final = f"firebase-adminsdk@{PROJECT}.iam.gserviceaccount.com"
#: How long the client certificate is good for.
CERTIFICATE_LIFE: Final = dt.timedelta(days=3650)

CA_FILE: Final = "ca.pem"
CA_KEY_FILE: Final = "ca-key.pem"
APNS_KEY_FILE: Final = "apns-key.p8"
API_KEY_FILE: Final = "gcm-api-key"
ACCOUNT_FILE: Final = "service-account.json"
CLIENT_FILE: Final = "client.pem"
CLIENT_KEY_FILE: Final = "client-key.pem"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the services need to know clients by, and to be known by."""

    ca: CA
    apns_key: ec.EllipticCurvePrivateKey
    account_key: rsa.RSAPrivateKey
    #: GCM's.
    api_key: str

    @property
    def signing_key(self) -> SigningKey:
        """What APNs knows of the key in `apns-key.p8`."""
        return SigningKey(KEY_ID, TEAM_ID, self.apns_key.public_key())

    def service_account(self, server: str) -> ServiceAccount:
        """What Google knows of the key in `service-account.json`; `server` is the FCM listener."""
        public_key = self.account_key.public_key()
        return ServiceAccount(PROJECT, EMAIL, _key_id(public_key), public_key, server + TOKEN_PATH)


def prepare(directory: Path) -> Credentials:
    """Read the keys and certificates of an earlier run; make and write those that are missing.

    Raises:
        EmulatorError: A file is there but cannot be read as what it should be.
    """
    try:
        ca = _authority(directory)
        return Credentials(ca, _apns_key(directory), _account_key(directory), _api_key(directory))
    except (ValueError, TypeError, KeyError) as error:
        raise EmulatorError(
            f"{directory} holds a broken key or certificate ({error}): remove the directory"
        ) from error


def write_service_account(directory: Path, key: rsa.RSAPrivateKey, server: str) -> None:
    """Write the key file that Google's own libraries read.

    Args:
        directory: Where to.
        key: The account's.
        server: Address of the FCM listener, which serves the token endpoint too.
    """
    account = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": _key_id(key.public_key()),
        "private_key": _pem(key).decode(),
        "client_email": EMAIL,
        "client_id": "100000000000000000001",
        "auth_uri": f"{server}/auth",
        "token_uri": server + TOKEN_PATH,
    }
    write(directory / ACCOUNT_FILE, json.dumps(account, indent=2) + "\n", is_private=True)


def settings(endpoints: Endpoints, api_key: str) -> dict[str, dict[str, str]]:
    """Return the tables of `pushtasks.toml`, as `write_settings` takes them."""
    return {
        "apns.default": {
            "topic": TOPIC,
            "key": APNS_KEY_FILE,
            "key_id": KEY_ID,
            "team_id": TEAM_ID,
            "server": endpoints.apns,
            "ca_file": CA_FILE,
        },
        "apns.classic": {
            "protocol": "binary",
            "certificate": CLIENT_FILE,
            "certificate_key": CLIENT_KEY_FILE,
            "gateway": endpoints.gateway,
            "feedback": endpoints.feedback,
            "ca_file": CA_FILE,
        },
        "gcm.default": {
            "credentials": ACCOUNT_FILE,
            "server": endpoints.fcm,
            "ca_file": CA_FILE,
        },
        "gcm.classic": {
            "protocol": "legacy",
            "api_key": api_key,
            "server": endpoints.gcm,
            "ca_file": CA_FILE,
        },
    }


def _authority(directory: Path) -> CA:
    """Return the certificate authority; with a new one goes a new client certificate."""
    certificate, key = directory / CA_FILE, directory / CA_KEY_FILE
    if certificate.exists() and key.exists():
        ca = CA.from_pem(certificate.read_bytes(), key.read_bytes())
        if not (directory / CLIENT_FILE).exists() or not (directory / CLIENT_KEY_FILE).exists():
            _issue_client_certificate(directory, ca)
        return ca
    ca = CA(organization_name="pushtasks emulator")
    write(key, ca.private_key_pem.bytes(), is_private=True)
    write(certificate, ca.cert_pem.bytes())
    _issue_client_certificate(directory, ca)
    return ca


def _issue_client_certificate(directory: Path, ca: CA) -> None:
    """Write a certificate as Apple issues them: the UID of its subject is the topic."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    issuer_key: Any = load_pem_private_key(ca.private_key_pem.bytes(), None)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.USER_ID, TOPIC),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Apple Push Services: {TOPIC}"),
        ]
    )
    now = dt.datetime.now(dt.UTC)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + CERTIFICATE_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )
    write(directory / CLIENT_KEY_FILE, _pem(key), is_private=True)
    write(directory / CLIENT_FILE, certificate.public_bytes(Encoding.PEM))


def _apns_key(directory: Path) -> ec.EllipticCurvePrivateKey:
    path = directory / APNS_KEY_FILE
    if not path.exists():
        write(path, _pem(ec.generate_private_key(ec.SECP256R1())), is_private=True)
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{path.name} is not an elliptic curve key")
    return key


def _account_key(directory: Path) -> rsa.RSAPrivateKey:
    path = directory / ACCOUNT_FILE
    if not path.exists():
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key = load_pem_private_key(json.loads(path.read_bytes())["private_key"].encode(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError(f"{path.name} does not hold an RSA key")
    return key


def _api_key(directory: Path) -> str:
    path = directory / API_KEY_FILE
    if not path.exists():
        write(path, f"AIza{secrets.token_hex(18)[:35]}\n", is_private=True)
    key = path.read_text(encoding="ascii").strip()
    if not key.isalnum():
        raise ValueError(f"{path.name} is not an API key")
    return key


def _pem(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _key_id(public_key: rsa.RSAPublicKey) -> str:
    """Return an id made of the key itself, 40 hexadecimal digits as Google's are."""
    encoded = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(encoded)
    return digest.finalize().hex()[:40]
