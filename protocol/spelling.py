"""A credential as a person types it: taken where it can only mean one thing, else refused with what it may mean. Pure.

- With its scheme, small letters, spaces, dashes and leading zeros do not matter: `em:0a 00 a1 b2 c3`.
- Without one, or in the writing of a print on the card, it is looked for among what is listed, under every writing that
  `protocol.card_number` knows: one that fits is meant, several are ambiguous.
- For what is new nothing is looked up: only a number plate is clear without its scheme.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from protocol.card_number import LOSSY, NEED_VERSION, Writing, read_card
from protocol.credential import SCHEMES, Credential, CredentialError, canonical
from protocol.plate import read_plate
from protocol.written import fold

_HEX_SCHEMES: Final = frozenset({"em", "uid", "epc", "obu", "eid"})
_BETWEEN: Final = re.compile(r"[\s:._-]")
_SHOWN_MAX: Final = 5


class SpellingError(ValueError):
    """It means nothing, or more than one thing; the message says which."""


@dataclass(frozen=True, slots=True)
class Meant:
    """What a text may mean: credentials, and EM4100 cards of which the first byte is not known."""

    credentials: frozenset[str]
    em_endings: frozenset[str] = frozenset()

    def among(self, listed: Iterable[str]) -> list[Credential]:
        """Those of the listed credentials."""
        return sorted(
            {
                Credential(one)
                for one in listed
                if one in self.credentials or (self.em_endings and one[:3] == "em:" and one[5:] in self.em_endings)
            }
        )


def listed(text: str, among: Iterable[str]) -> Credential:
    """The one credential among these that the text can mean. Raises SpellingError."""
    known = frozenset(among)
    with suppress(CredentialError):  # it may be the writing of a print, with a scheme before it
        if (own := _in_full(text)) is not None and own in known:
            return own
    found = meanings(text).among(known)
    if len(found) == 1:
        return found[0]
    if not found:
        raise SpellingError(f"{text!r} is not on the list, in any writing that is known")
    shown = ", ".join(found[:_SHOWN_MAX]) + (" …" if len(found) > _SHOWN_MAX else "")
    raise SpellingError(f"{text!r} may mean {len(found)} that are on the list: {shown}; write one of them in full")


def new(text: str) -> Credential:
    """The credential that the text writes, of one that is not listed yet. Raises SpellingError."""
    plain = fold(text).strip()
    try:
        if (own := _in_full(plain)) is not None:
            return own
    except CredentialError as error:
        raise SpellingError(str(error)) from error
    if (plate := read_plate(plain).credential) is not None:
        return plate
    readings = sorted(meanings(plain).credentials)
    may = f"; it may mean {', '.join(readings[:_SHOWN_MAX])}" if readings else ""
    raise SpellingError(f"{text!r} does not say what it is; write its scheme: {', '.join(SCHEMES)}{may}")


def meanings(text: str) -> Meant:
    """All that the text may mean."""
    plain = fold(text).strip()
    scheme, colon, value = plain.partition(":")
    name = scheme.strip().lower()
    if colon and name in SCHEMES:
        found = {f"{name}:{_value(name, value)}", *_readings(value, name)}
        return Meant(frozenset(found), _endings(value) if name == "em" else frozenset())
    found = set(_readings(plain, ""))
    if (plate := read_plate(plain).credential) is not None:
        found.add(plate)
    bare = _BETWEEN.sub("", plain).upper()
    found |= {f"{one}:{bare}" for one in _HEX_SCHEMES} | {f"plate:{bare}", f"pass:{plain}"}
    return Meant(frozenset(found), _endings(plain))


def _in_full(text: str) -> Credential | None:
    """The credential of a text that begins with a scheme. Raises CredentialError."""
    scheme, colon, value = fold(text).strip().partition(":")
    name = scheme.strip().lower()
    return canonical(f"{name}:{_value(name, value)}") if colon and name in SCHEMES else None


def _value(scheme: str, value: str) -> str:
    if scheme in _HEX_SCHEMES:
        return _BETWEEN.sub("", value).upper()
    if scheme == "plate":
        read = read_plate(value.strip()).credential
        return read.partition(":")[2] if read is not None else _BETWEEN.sub("", value).upper()
    if scheme == "wiegand":
        return ":".join(part.strip().lstrip("0") or "0" for part in re.split(r"[:,]", value))
    return value.strip()


def _readings(text: str, scheme: str) -> Iterable[str]:
    for writing in Writing:
        if writing not in LOSSY and writing not in NEED_VERSION:
            found = read_card(text, writing).credential
            if found is not None and found.startswith(scheme):
                yield found


def _endings(text: str) -> frozenset[str]:
    found = (read_card(text, writing, "00").credential for writing in NEED_VERSION)
    return frozenset(one[5:] for one in found if one is not None)
