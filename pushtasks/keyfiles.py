"""Keys and certificates as people have them: a path, the text itself, or base64.

No message says more of what could be key material than its length.
"""

import binascii
import re
from base64 import b64decode
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_pem_private_key,
)

from pushtasks.errors import InvalidSettings

#: Bytes; a chain of certificates with its key has some ten thousand.
SIZE_LIMIT: Final = 1024 * 1024

PEM: Final = b"-----BEGIN"
_PEM_TEXT: Final = PEM.decode()
_DER_SEQUENCE: Final = 0x30
_DER_LONG_FORM: Final = 0x80
_DER_HEADER: Final = 2
_JSON: Final = b"{"

_PEM_PRIVATE_KEY: Final = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL
)

#: What may be shown as the name of a missing file: no key is as short or has such an ending.
_SHORT_NAME: Final = re.compile(r"[\w .~/\\:@+-]{1,24}")
_NAME_WITH_ENDING: Final = re.compile(r"[\w .~/\\:@+-]{1,1000}\.[A-Za-z0-9]{1,8}")


def read_key_material(value: str, *, setting: str, directory: Path | None = None) -> bytes:
    r"""Return the content of a key, certificate or service account file.

    Args:
        value: A path, PEM text (line ends may be written `\n`, as in environment variables), JSON
            text, or base64 of PEM, DER, PKCS#12 or JSON.
        setting: Name to use in messages.
        directory: What a relative path is relative to; None: the working directory.

    Raises:
        InvalidSettings: There is no such file, or the value is none of these.
    """
    text = value.strip()
    if not text:
        raise InvalidSettings(f"{setting} is empty: give a path, PEM text or base64")
    if _PEM_TEXT in text:
        return text.replace("\\n", "\n").encode()
    if text.startswith("{"):
        return text.encode()
    path = _path(text, directory)
    if path is not None:
        return _read(path, setting)
    material = _from_base64(text)
    if material is None:
        raise InvalidSettings(f"{setting} {_not_found(text, directory)}")
    return material


def load_private_key(
    material: bytes,
    *,
    setting: str,
    password: str | None = None,
    unlocked_by: str | None = None,
) -> PrivateKeyTypes:
    """Return the private key in PEM (certificates may stand beside it) or DER.

    Args:
        material: From `read_key_material`.
        setting: Name to use in messages.
        password: Of an encrypted key; not used if the key is not encrypted.
        unlocked_by: Name of the setting that is the password; None if there is none.

    Raises:
        InvalidSettings: There is no private key, or its password is missing or wrong.
    """
    load = load_der_private_key
    if PEM in material:
        load, material = load_pem_private_key, _private_key_block(material, setting)
    try:
        return load(material, None)
    except TypeError:  # encrypted
        pass
    except (ValueError, UnsupportedAlgorithm):
        raise _unreadable_key(setting) from None
    if not password:
        raise _missing_password(setting, unlocked_by)
    try:
        return load(material, password.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidSettings(
            f"{setting} cannot be decrypted with {unlocked_by or 'its password'}: either the "
            "password is wrong or the file is damaged; try `openssl pkey -in KEY -noout`"
        ) from None


def _private_key_block(material: bytes, setting: str) -> bytes:
    found = _PEM_PRIVATE_KEY.search(material)
    if found is None:
        raise InvalidSettings(
            f"{setting} has no private key: it must have a block BEGIN PRIVATE KEY; give the file "
            "that has the key"
        )
    return found[0] + b"\n"


def _missing_password(setting: str, unlocked_by: str | None) -> InvalidSettings:
    way_out = f"set {unlocked_by}, or " if unlocked_by else ""
    return InvalidSettings(
        f"{setting} is an encrypted private key without its password: {way_out}decrypt it with "
        "`openssl pkcs8 -in KEY -out DECRYPTED`"
    )


def _unreadable_key(setting: str) -> InvalidSettings:
    return InvalidSettings(
        f"{setting} is no private key that can be read: it must be PKCS#8 in PEM or DER, as the "
        ".p8 file that Apple delivers; download it again or export it anew"
    )


def _path(text: str, directory: Path | None) -> Path | None:
    """Return the path that a text names, if there is anything there."""
    try:
        path = (directory or Path()) / Path(text).expanduser()
        path.stat()
    except PermissionError:
        return path
    except (OSError, ValueError, RuntimeError):  # missing or too long, a NUL byte, nobody's `~`
        return None
    return path


def _read(path: Path, setting: str) -> bytes:
    try:
        with path.open("rb") as file:
            material = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise InvalidSettings(
            f"{setting} cannot be read from {path} ({error.strerror}): it must be a file that "
            "this process may read; check path and permissions"
        ) from None
    if not material.strip():
        raise InvalidSettings(f"{setting}: the file {path} is empty; put the key into it")
    if len(material) > SIZE_LIMIT:
        raise InvalidSettings(
            f"{setting}: the file {path} has more than {SIZE_LIMIT} bytes, which no key has; give "
            "the path of the key"
        )
    return material


def _from_base64(text: str) -> bytes | None:
    """Return what base64 text, ordinary or URL-safe, holds, if that is PEM, DER or JSON."""
    compact = "".join(text.split()).translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        material = b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        return None
    known = PEM in material or material.startswith(_JSON) or _is_der_sequence(material)
    return material if known else None


def _is_der_sequence(material: bytes) -> bool:
    """Tell whether bytes are one whole SEQUENCE, or begin one of indefinite length."""
    if len(material) < _DER_HEADER or material[0] != _DER_SEQUENCE:
        return False
    first = material[1]
    if first <= _DER_LONG_FORM:
        return first == _DER_LONG_FORM or len(material) == _DER_HEADER + first
    size = first - _DER_LONG_FORM
    return len(material) == _DER_HEADER + size + int.from_bytes(
        material[_DER_HEADER : _DER_HEADER + size]
    )


def _not_found(text: str, directory: Path | None) -> str:
    if _SHORT_NAME.fullmatch(text) or _NAME_WITH_ENDING.fullmatch(text):
        within = "" if directory is None else f" (relative to {directory})"
        return (
            f"names {text}{within}, but there is no such file: give the path of one, PEM text or "
            "base64"
        )
    return (
        f"has {len(text)} characters that are neither the path of a file nor PEM text nor base64 "
        "of a key or certificate: give one of these"
    )
