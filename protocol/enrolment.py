"""The enrolment file: all that a gate's box must be given before it can talk to its center.

It travels on a stick, so it is text that survives mailers and editors, and it is sealed with a passphrase that
travels another way:

    -----BEGIN GATED ENROLMENT-----
    Version: 1
    Site: shenhang
    Gate: north
    Until: 2026-12-01T08:00:00+08:00

    base64 of: salt (16) | ChaCha20-Poly1305 of the JSON | checksum (8)
    -----END GATED ENROLMENT-----

- The key is scrypt (n = 2^15, r = 8, p = 1) of the passphrase; a salt is never used twice, so neither is a key, and
  the nonce is fixed. The header's lines are authenticated with the content.
- The checksum, SHA-256 over header, salt and ciphertext cut to 8 bytes, only tells a damaged file from a wrong
  passphrase.
- White space and line ends do not count; nor do case, spaces and hyphens in the passphrase.

Inside is a one-time key, the *voucher*. It never signs anything but the public keys that the box makes for itself:
that is how the center knows, once, whose they are (`voucher_text`). Whether the file has expired is asked with a
time from outside: nothing here reads a clock.
"""

import base64
import binascii
import hashlib
import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints

from protocol.message import Key, Message, MessageError, Name, Text
from protocol.signature import public_bytes, public_key

FILE_MAX_BYTES: Final = 1024 * 1024
VERSION: Final = 1
_BEGIN: Final = "-----BEGIN GATED ENROLMENT-----"
_END: Final = "-----END GATED ENROLMENT-----"
_FIELDS: Final = ("Version", "Site", "Gate", "Until")
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


class EnrolmentError(ValueError):
    """The file cannot be used; the message says why, and what to do."""


class WrongPassphraseError(EnrolmentError):
    """The file is whole, but this passphrase does not open it."""

    def __init__(self) -> None:
        super().__init__("the passphrase is wrong; read it again, letter by letter")


class DamagedError(EnrolmentError):
    """The bytes are no enrolment file, or no longer one."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the file is damaged: {why}; copy it to the stick again")


class NewerVersionError(EnrolmentError):
    """The file was made by a newer program."""

    def __init__(self, version: int) -> None:
        super().__init__(f"the file is of version {version}, made by a newer program; update gated on this box first")


class ExpiredError(EnrolmentError):
    """The file's time is over."""

    def __init__(self, until: datetime, now: datetime) -> None:
        super().__init__(
            f"the file could be used until {until.isoformat(timespec='minutes')}, and this box's clock says "
            f"{now.astimezone(until.tzinfo).isoformat(timespec='minutes')}; "
            "if the clock is right, have a new file made: gatectl gate replace"
        )


class Enrolment(Message):
    """What the file holds."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", hide_input_in_errors=True)

    site: Name
    """The site."""
    gate: Name
    """The gate."""
    broker: Text
    """The broker's address."""
    username: Text
    """The gate's account at the broker."""
    password: Annotated[Text, Field(repr=False)]
    """That account's password."""
    ca: Annotated[str, StringConstraints(max_length=64 * 1024)]
    """The certificate of the authority that the broker's certificate is from, PEM; empty for a broker without TLS."""
    center: Annotated[tuple[Key, ...], Field(min_length=1, max_length=16)]
    """The center's Ed25519 public keys."""
    root: Annotated[bytes, Field(max_length=256 * 1024)]
    """The whitelist repository's root metadata."""
    pepper: Annotated[Key, Field(repr=False)]
    """The site's secret in the hashes of guards' PINs."""
    voucher: Annotated[Key, Field(repr=False)]
    """The one-time Ed25519 private key."""
    until: AwareDatetime
    """Until when the voucher counts."""

    def check(self, now: datetime) -> None:
        """Raises ExpiredError if `now` is no longer before `until`."""
        if now >= self.until:
            raise ExpiredError(self.until, now)


@dataclass(frozen=True, slots=True)
class Label:
    """What stands in clear on the file: for whom it is. Not to be trusted before it is unsealed."""

    site: str
    gate: str


def seal(content: Enrolment, passphrase: str) -> bytes:
    """The file: ASCII text. Sealing twice gives two different files."""
    head = _head(content)
    salt = secrets.token_bytes(_SALT_BYTES)
    body = salt + _cipher(passphrase, salt).encrypt(_NONCE, content.to_bytes(), _covered(head))
    text = base64.b64encode(body + _check(head, body)).decode()
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return "\n".join((_BEGIN, *head, "", *lines, _END, "")).encode()


def unseal(data: bytes, passphrase: str) -> Enrolment:
    """What the file holds. Raises EnrolmentError, and nothing else, whatever the bytes are.

    Whether it has expired is for `Enrolment.check` to say.
    """
    head, body = _opened(data)
    try:
        plain = _cipher(passphrase, body[:_SALT_BYTES]).decrypt(_NONCE, body[_SALT_BYTES:], _covered(head))
    except InvalidTag as error:
        raise WrongPassphraseError from error
    try:
        content = Enrolment.from_bytes(plain)
    except MessageError as error:
        raise DamagedError(str(error)) from error
    if _head(content) != head:
        raise DamagedError("its first lines do not fit what is sealed in it")
    return content


def label(data: bytes) -> Label:
    """For whom the file is, without its passphrase. Raises EnrolmentError."""
    head, _ = _opened(data)
    return Label(*(line.partition(": ")[2] for line in head[1:3]))


def new_passphrase() -> str:
    """A passphrase that can be read over the telephone: five groups of four."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(PASSPHRASE_LENGTH))
    return "-".join(letters[start : start + _GROUP] for start in range(0, PASSPHRASE_LENGTH, _GROUP))


def voucher_text(site: str, gate: str, key: bytes, seal: bytes) -> bytes:
    """What the one-time key signs: the gate's own Ed25519 and X25519 public keys, 32 bytes each, under its name."""
    return b"gated voucher\n%s\n%s\n%s%s" % (site.encode(), gate.encode(), key, seal)


def vouch(private: Ed25519PrivateKey, *, site: str, gate: str, key: bytes, seal: bytes) -> str:
    """The one-time key's signature over the gate's public keys, base64, as it stands in the gate's status."""
    return base64.b64encode(private.sign(voucher_text(site, gate, key, seal))).decode()


def vouched(public: Ed25519PublicKey | bytes, voucher: str, *, site: str, gate: str, key: bytes, seal: bytes) -> bool:
    """Whether the one-time key has vouched for these keys under this name. False for whatever is no signature."""
    try:
        checked = public_key(public) if isinstance(public, bytes) else public
        checked.verify(base64.b64decode(voucher, validate=True), voucher_text(site, gate, key, seal))
    except (InvalidSignature, ValueError):
        return False
    return True


def voucher_public(content: Enrolment) -> bytes:
    """The one-time key's public half, 32 bytes: what the center keeps of it."""
    return public_bytes(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(content.voucher)))


def _head(content: Enrolment) -> list[str]:
    values = (VERSION, content.site, content.gate, content.until.isoformat())
    return [f"{name}: {value}" for name, value in zip(_FIELDS, values, strict=True)]


def _opened(data: bytes) -> tuple[list[str], bytes]:
    """The header's lines, and salt with ciphertext; checked for damage, not yet for truth."""
    if len(data) > FILE_MAX_BYTES:
        raise DamagedError("it is far too long for an enrolment file")
    head, armoured = _parts(data)
    try:
        body = base64.b64decode("".join(armoured), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DamagedError("a character that does not belong there") from error
    body, check = body[:-_CHECK_BYTES], body[-_CHECK_BYTES:]
    if len(body) < _SALT_BYTES or not secrets.compare_digest(check, _check(head, body)):
        raise DamagedError("its checksum does not fit")
    return head, body


def _parts(data: bytes) -> tuple[list[str], Sequence[str]]:
    lines = [line.strip() for line in data.decode("utf-8-sig", errors="replace").splitlines()]
    if _BEGIN not in lines:
        raise EnrolmentError("this is no enrolment file; gatectl gate add makes one")
    lines = [line for line in lines[lines.index(_BEGIN) + 1 :] if line]
    version = re.fullmatch(r"Version: ([0-9]{1,6})", lines[0]) if lines else None
    if version is None:
        raise DamagedError("its version is missing")
    if int(version[1]) > VERSION:
        raise NewerVersionError(int(version[1]))
    if _END not in lines:
        raise DamagedError("its end is missing")
    lines = lines[: lines.index(_END)]
    head = lines[: len(_FIELDS)]
    if [line.partition(": ")[0] for line in head] != list(_FIELDS):
        raise DamagedError("its first lines are not what they should be")
    return head, lines[len(_FIELDS) :]


def _covered(head: Sequence[str]) -> bytes:
    return "\n".join(("gated enrolment", *head)).encode()


def _check(head: Sequence[str], body: bytes) -> bytes:
    return hashlib.sha256(_covered(head) + b"\n" + body).digest()[:_CHECK_BYTES]


def _cipher(passphrase: str, salt: bytes) -> ChaCha20Poly1305:
    # Full-width letters come from Chinese keyboards, surrogates from broken terminals: neither may crash.
    plain = unicodedata.normalize("NFKC", passphrase).lower()
    letters = "".join(character for character in plain if not (character.isspace() or character in "-‐‑–—_"))
    kdf = Scrypt(salt=salt, length=32, n=_SCRYPT_N, r=8, p=1)
    return ChaCha20Poly1305(kdf.derive(letters.encode(errors="replace")))
