"""API keys: made at random, kept as hashes, compared in constant time."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from pushtasks.errors import InvalidSettings

#: What a hash looks like where it is kept: `sha256:` and 64 hexadecimal digits.
_HASH: Final = re.compile(r"sha256:([0-9a-f]{64})")
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """The hashes of the keys that are accepted; no key is ever kept."""

    digests: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return f"<ApiKeys {len(self.digests)}>"

    def __bool__(self) -> bool:
        return bool(self.digests)

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Self:
        """Read hashes, one a line; what follows a `#` is for people.

        Raises:
            InvalidSettings: A line is no hash; the message does not repeat it, it may be a key.
        """
        digests = []
        for number, line in enumerate(lines, 1):
            text = line.partition("#")[0].strip()
            if not text:
                continue
            found = _HASH.fullmatch(text)
            if found is None:
                raise InvalidSettings(
                    f"API keys: entry {number} is no hash of the form sha256:…; make a key and its"
                    " hash with  pushtasks serve --new-key"
                )
            digests.append(bytes.fromhex(found[1]))
        return cls(tuple(digests))

    def name_of(self, key: str) -> str | None:
        """Return a short name for an accepted key, that does not give it away; None for others.

        It takes the same time whichever key it is, if any.
        """
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        found = None
        for accepted in self.digests:
            if hmac.compare_digest(accepted, digest):
                found = accepted.hex()[:8]
        return found


def new_key() -> tuple[str, str]:
    """Return a new random key, and the hash by which it is accepted."""
    key = secrets.token_urlsafe(_KEY_BYTES)
    return key, f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"
