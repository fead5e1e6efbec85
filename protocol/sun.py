"""NTAG 424 DNA (NXP AN12196): a chip that signs each tap, by a link that is another one each time.

    https://HOST/?picc_data=<32 hex digits>&cmac=<16 hex digits>
    https://HOST/?picc_data=<32 hex digits>&enc=<32 or more hex digits>&cmac=<16 hex digits>

- `picc_data` is the chip's UID and its counter of taps, encrypted with the site's meta key (AES-128, section 3.4.2).
- `cmac` is over all from `enc` up to itself, nothing where there is no `enc`, with a key of this tap: CMAC of the
  site's file key over UID and counter (3.4.4). What `enc` holds is not read.
- A link that was seen before is a copy of one: whoever verifies keeps the counter (`gated.counters`).

Both keys are the same on all chips of a site, and every gate must have them: one who takes a gate's box can make any
such chip. An e-ID's signature has no such secret at the gates (`protocol.eid`).

The credential is `eid:` and the UID, 14 digits; the same chip's `uid:` anybody can imitate, so it is another.
"""

import hmac
import re
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.cmac import CMAC

from protocol import ndef
from protocol.credential import Credential
from protocol.ndef import NdefError

KEY_BYTES: Final = 16
SIGNER: Final = "ntag424"
"""What stands in place of a registrar's key: such a chip is never issued by one."""

_UID_BYTES: Final = 7
_COUNTER_BYTES: Final = 3
_PICC_TAG: Final = 0b1100_0111
"""UID of 7 bytes and counter both there (AN12196, table 3)."""
_SESSION: Final = bytes.fromhex("3cc300010080")
"""What stands before UID and counter in SV2 (3.4.4)."""
_LINK: Final = re.compile(
    rb"[?&]picc_data=([0-9A-Fa-f]{32})&(?:enc=((?:[0-9A-Fa-f]{32})+&cmac=)|cmac=)([0-9A-Fa-f]{16})\Z"
)


class SunError(ValueError):
    """The bytes are no tap of such a chip, or not with these keys."""


class NoSunError(SunError):
    """There is no such link at all."""


@dataclass(frozen=True, slots=True)
class Keys:
    """A site's two keys, 16 bytes each."""

    meta: bytes
    file: bytes


@dataclass(frozen=True, slots=True)
class Tap:
    """One tap of a chip: how often it has been read, this time included."""

    uid: bytes
    counter: int

    @property
    def credential(self) -> Credential:
        """Whose tap it is."""
        return Credential(f"eid:{self.uid.hex().upper()}")


def read(message: bytes, keys: Keys) -> Tap:
    """The tap in an NDEF message. Raises NoSunError where there is no such link, SunError where it is false."""
    try:
        records = ndef.parse(message)
    except NdefError as error:
        raise NoSunError(str(error)) from error
    links = [_LINK.search(one.payload) for one in records if (one.tnf, one.type) == (ndef.WELL_KNOWN, b"U")]
    found = next((link for link in links if link is not None), None)
    if found is None:
        raise NoSunError("the tag has no link with picc_data and cmac")
    return verified(bytes.fromhex(found[1].decode()), bytes.fromhex(found[3].decode()), keys, found[2] or b"")


def verified(picc: bytes, mac: bytes, keys: Keys, covered: bytes = b"") -> Tap:
    """The tap, if its MAC holds. Raises SunError."""
    if len(picc) != KEY_BYTES:
        raise SunError(f"picc_data has {KEY_BYTES} bytes, not {len(picc)}")
    decryptor = Cipher(AES(keys.meta), CBC(bytes(KEY_BYTES))).decryptor()
    plain = decryptor.update(picc) + decryptor.finalize()
    if plain[0] != _PICC_TAG:
        raise SunError("picc_data is of another site's chip")
    uid_and_counter = plain[1 : 1 + _UID_BYTES + _COUNTER_BYTES]
    session = _cmac(keys.file, _SESSION + uid_and_counter)
    if not hmac.compare_digest(_cmac(session, covered)[1::2], mac):
        raise SunError("its MAC does not hold")
    return Tap(uid_and_counter[:_UID_BYTES], int.from_bytes(uid_and_counter[_UID_BYTES:], "little"))


def _cmac(key: bytes, data: bytes) -> bytes:
    made = CMAC(AES(key))
    made.update(data)
    return made.finalize()
