"""The enrolment file: all that a gate's box must be given before it can talk to its center.

It travels on a stick, sealed as `protocol.sealed` says. Its header names the site, the gate and until when it serves.

Inside is a one-time key, the *voucher*. It never signs anything but the public keys that the box makes for itself:
that is how the center knows, once, whose they are (`voucher_text`). Whether the file has expired is asked with a
time from outside: nothing here reads a clock.
"""

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints

from protocol import sealed
from protocol.message import Key, Message, Name, Text
from protocol.sealed import SealedError
from protocol.signature import public_bytes, public_key

VOUCHER_TIME: Final = timedelta(days=7)
"""How long a file serves: it was made so long before its end."""

Certificate = Annotated[str, StringConstraints(max_length=64 * 1024)]
Root = Annotated[bytes, Field(max_length=256 * 1024)]


class ExpiredError(SealedError):
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
    ca: Certificate
    """The certificate of the authority that the broker's certificate is from, PEM; empty for a broker without TLS."""
    center: Annotated[tuple[Key, ...], Field(min_length=1, max_length=16)]
    """The center's Ed25519 public keys."""
    root: Root
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


KIND: Final = sealed.Kind("enrolment", 1, Enrolment, ("site", "gate", "until"), "gatectl gate add")


def seal(content: Enrolment, passphrase: str) -> bytes:
    """The file: ASCII text. Sealing twice gives two different files."""
    return sealed.seal(KIND, content, passphrase)


def unseal(data: bytes, passphrase: str) -> Enrolment:
    """What the file holds. Raises SealedError, and nothing else, whatever the bytes are.

    Whether it has expired is for `Enrolment.check` to say.
    """
    return sealed.unseal(KIND, data, passphrase)


def label(data: bytes) -> Label:
    """For whom the file is, without its passphrase. Raises SealedError."""
    site, gate, _ = sealed.label(KIND, data)
    return Label(site, gate)


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
