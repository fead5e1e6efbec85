"""NTAG 424 DNA (NXP AN12196): a chip that signs each tap, by a link that is another one each time.

    https://HOST/?picc_data=<32 hex digits>&cmac=<16 hex digits>
    https://HOST/?picc_data=<32 hex digits>&enc=<32 or more hex digits>&cmac=<16 hex digits>
    https://HOST/?uid=<14 hex digits>&ctr=<6 hex digits>&cmac=<16 hex digits>

- `picc_data` is the chip's UID and its counter of taps, encrypted with the site's meta key (AES-128, section 3.4.2).
  Or both stand there in clear.
- `cmac` is over all from `enc` up to itself, nothing where there is no `enc`, with a key of this tap: CMAC of the
  site's file key over UID and counter (3.4.4). What `enc` holds is not read.
- The names are whatever the site has written on its chips; all may also follow one another under a single name. What
  stands last counts, and the MAC tells whether it was that.
- A link that was seen before is a copy of one: whoever verifies keeps the counter (`gated.lanes.counters`).

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
_HEX: Final = "[0-9A-Fa-f]"
_NEXT: Final = r"(?:&\w+=)?"
_LINK: Final = re.compile(rf"[?&]\w+=({_HEX}{{32}}){_NEXT}((?:(?:{_HEX}{{32}})+{_NEXT})?)({_HEX}{{16}})\Z".encode())
_CLEAR: Final = re.compile(rf"[?&]\w+=({_HEX}{{14}}){_NEXT}({_HEX}{{6}}){_NEXT}({_HEX}{{16}})\Z".encode())


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
    for payload in (one.payload for one in records if (one.tnf, one.type) == (ndef.WELL_KNOWN, b"U")):
        if link := _LINK.search(payload):
            return verified(_bytes(link[1]), _bytes(link[3]), keys, link[2])
        if link := _CLEAR.search(payload):
            return _held(_bytes(link[1]) + _bytes(link[2])[::-1], _bytes(link[3]), keys, b"")
    raise NoSunError("the tag has no link with the chip's number and a MAC")


def verified(picc: bytes, mac: bytes, keys: Keys, covered: bytes = b"") -> Tap:
    """The tap, if its MAC holds. Raises SunError."""
    if len(picc) != KEY_BYTES:
        raise SunError(f"picc_data has {KEY_BYTES} bytes, not {len(picc)}")
    decryptor = Cipher(AES(keys.meta), CBC(bytes(KEY_BYTES))).decryptor()
    plain = decryptor.update(picc) + decryptor.finalize()
    if plain[0] != _PICC_TAG:
        raise SunError("picc_data is of another site's chip")
    return _held(plain[1 : 1 + _UID_BYTES + _COUNTER_BYTES], mac, keys, covered)


def _held(uid_and_counter: bytes, mac: bytes, keys: Keys, covered: bytes) -> Tap:
    """The tap of this UID and counter, its low byte first, if the MAC holds."""
    session = _cmac(keys.file, _SESSION + uid_and_counter)
    if not hmac.compare_digest(_cmac(session, covered)[1::2], mac):
        raise SunError("its MAC does not hold")
    return Tap(uid_and_counter[:_UID_BYTES], int.from_bytes(uid_and_counter[_UID_BYTES:], "little"))


def _bytes(digits: bytes) -> bytes:
    return bytes.fromhex(digits.decode())


def _cmac(key: bytes, data: bytes) -> bytes:
    made = CMAC(AES(key))
    made.update(data)
    return made.finalize()
