"""A sealed file: what somebody must be given once, under a passphrase that travels another way.

It is text that survives mailers and editors:

    -----BEGIN GATED ENROLMENT-----
    Version: 1
    Site: shenhang
    …

    base64 of: salt (16) | ChaCha20-Poly1305 of the content | checksum (8)
    -----END GATED ENROLMENT-----

- The key is scrypt (n = 2^15, r = 8, p = 1) of the passphrase; a salt is never used twice, so neither is a key, and
  the nonce is fixed. The header's lines, and what kind of file it is, are authenticated with the content.
- The checksum, SHA-256 over header, salt and ciphertext cut to 8 bytes, only tells a damaged file from a wrong
  passphrase.
- White space and line ends do not count; nor do case, spaces and hyphens in the passphrase.

What is in a file, and what its header says, is for its kind to know: `protocol.enrolment`, `protocol.profile`.
"""

import base64
import binascii
import hashlib
import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from protocol.message import Message, MessageError

Content = TypeVar("Content", bound=Message)
FILE_MAX_BYTES: Final = 1024 * 1024
_LINE: Final = 64
_SALT_BYTES: Final = 16
_CHECK_BYTES: Final = 8
_NONCE: Final = bytes(12)
_SCRYPT_N: Final = 2**15
"""32 MiB and 70 ms on the machine it was measured on."""
ALPHABET: Final = "23456789fhkmrtwxy"
"""No two look alike (0 o, 1 l i) or sound alike when spelt (b c d e g p v z, a j, s, n, u q): 17 of them."""
PASSPHRASE_LENGTH: Final = 20
"""4.09 bits each: 81 bits, and scrypt before them."""
_GROUP: Final = 4


class SealedError(ValueError):
    """The file cannot be used; the message says why, and what to do."""


class WrongPassphraseError(SealedError):
    """The file is whole, but this passphrase does not open it."""

    def __init__(self) -> None:
        super().__init__("the passphrase is wrong; read it again, letter by letter")


class DamagedError(SealedError):
    """The bytes are no such file, or no longer one."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the file is damaged: {why}; copy it to the stick again")


class NewerVersionError(SealedError):
    """The file was made by a newer program."""

    def __init__(self, version: int) -> None:
        super().__init__(f"the file is of version {version}, made by a newer program; update gated here first")


@dataclass(frozen=True, slots=True)
class Kind(Generic[Content]):
    """A kind of file: what is in it, and `fields`, which of that stands in its header as well."""

    name: str
    version: int
    model: type[Content]
    fields: tuple[str, ...]
    made_by: str
    """The command that makes such a file."""

    def head(self, content: Content) -> list[str]:
        """The header's lines."""
        values = content.model_dump(mode="json", include=set(self.fields))
        return [f"Version: {self.version}", *(f"{field.title()}: {values[field]}" for field in self.fields)]

    @property
    def begin(self) -> str:
        """The first line."""
        return f"-----BEGIN GATED {self.name.upper()}-----"

    @property
    def end(self) -> str:
        """The last line."""
        return f"-----END GATED {self.name.upper()}-----"

    def covered(self, head: Sequence[str]) -> bytes:
        """What is authenticated with the content."""
        return "\n".join((f"gated {self.name}", *head)).encode()

    def check(self, head: Sequence[str], body: bytes) -> bytes:
        """The checksum."""
        return hashlib.sha256(self.covered(head) + b"\n" + body).digest()[:_CHECK_BYTES]


def seal(kind: Kind[Content], content: Content, passphrase: str) -> bytes:
    """The file: ASCII text. Sealing twice gives two different files."""
    head = kind.head(content)
    salt = secrets.token_bytes(_SALT_BYTES)
    body = salt + _cipher(passphrase, salt).encrypt(_NONCE, content.to_bytes(), kind.covered(head))
    text = base64.b64encode(body + kind.check(head, body)).decode()
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return "\n".join((kind.begin, *head, "", *lines, kind.end, "")).encode()


def unseal(kind: Kind[Content], data: bytes, passphrase: str) -> Content:
    """What the file holds. Raises SealedError, and nothing else, whatever the bytes are."""
    head, body = _opened(kind, data)
    try:
        plain = _cipher(passphrase, body[:_SALT_BYTES]).decrypt(_NONCE, body[_SALT_BYTES:], kind.covered(head))
    except InvalidTag as error:
        raise WrongPassphraseError from error
    try:
        content = kind.model.from_bytes(plain)
    except MessageError as error:
        raise DamagedError(str(error)) from error
    if kind.head(content) != head:
        raise DamagedError("its first lines do not fit what is sealed in it")
    return content


def label(kind: Kind[Any], data: bytes) -> list[str]:
    """What its header says of it, by `kind.fields`, without the passphrase. Raises SealedError.

    Not to be trusted before it is unsealed.
    """
    head, _ = _opened(kind, data)
    return [line.partition(": ")[2] for line in head[1:]]


def new_passphrase() -> str:
    """A passphrase that can be read over the telephone: five groups of four."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(PASSPHRASE_LENGTH))
    return "-".join(letters[start : start + _GROUP] for start in range(0, PASSPHRASE_LENGTH, _GROUP))


def _opened(kind: Kind[Any], data: bytes) -> tuple[list[str], bytes]:
    """The header's lines, and salt with ciphertext; checked for damage, not yet for truth."""
    if len(data) > FILE_MAX_BYTES:
        raise DamagedError("it is far too long for such a file")
    head, armoured = _parts(kind, data)
    try:
        body = base64.b64decode("".join(armoured), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DamagedError("characters are missing, or do not belong there") from error
    body, check = body[:-_CHECK_BYTES], body[-_CHECK_BYTES:]
    if len(body) < _SALT_BYTES or not secrets.compare_digest(check, kind.check(head, body)):
        raise DamagedError("its checksum does not fit")
    return head, body


def _parts(kind: Kind[Any], data: bytes) -> tuple[list[str], Sequence[str]]:
    lines = [line.strip() for line in data.decode("utf-8-sig", errors="replace").splitlines()]
    if kind.begin not in lines:
        raise SealedError(f"this is no {kind.name} file; {kind.made_by} makes one")
    lines = [line for line in lines[lines.index(kind.begin) + 1 :] if line]
    version = re.fullmatch(r"Version: ([0-9]{1,6})", lines[0]) if lines else None
    if version is None:
        raise DamagedError("its version is missing")
    if int(version[1]) > kind.version:
        raise NewerVersionError(int(version[1]))
    if kind.end not in lines:
        raise DamagedError("its end is missing")
    lines, length = lines[: lines.index(kind.end)], 1 + len(kind.fields)
    if [line.partition(": ")[0] for line in lines[1:length]] != [field.title() for field in kind.fields]:
        raise DamagedError("its first lines are not what they should be")
    return lines[:length], lines[length:]


def _cipher(passphrase: str, salt: bytes) -> ChaCha20Poly1305:
    # Full-width letters come from Chinese keyboards, surrogates from broken terminals: neither may crash.
    plain = unicodedata.normalize("NFKC", passphrase).lower()
    letters = "".join(character for character in plain if not (character.isspace() or character in "-‐‑–—_"))
    kdf = Scrypt(salt=salt, length=32, n=_SCRYPT_N, r=8, p=1)
    return ChaCha20Poly1305(kdf.derive(letters.encode(errors="replace")))
