"""A credential as a person types it: taken where it can only mean one thing, else refused with what it may mean. Pure.

- With its scheme, small letters, spaces, dashes and leading zeros do not matter: `em:0a 00 a1 b2 c3`.
- Without one, or in the writing of a print on the card, it is looked for among what is listed, under every writing that
  `protocol.card_number` knows: one that fits is meant, several are ambiguous.
- For what is new nothing is looked up: only a number plate is clear without its scheme.
- Who only looks is shown all that it may mean (`readings`), with `?` for each digit that the writing does not tell.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from protocol.card_number import HOW, LOSSY, NEED_VERSION, Writing, read_card
from protocol.credential import SCHEMES, Credential, CredentialError, canonical
from protocol.plate import read_plate
from protocol.written import fold

_HEX_SCHEMES: Final = frozenset({"em", "uid", "epc", "obu", "eid"})
_BETWEEN: Final = re.compile(r"[\s:._-]")
_SHOWN_MAX: Final = 5
_SOME_BYTE: Final = "00"
_IN_FULL: Final = "as it is written"


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


@dataclass(frozen=True, slots=True)
class Possible:
    """One thing that a text may mean, with `?` for each digit that it does not tell; `how` it is read so, in words.

    Not `likely` is what is worth telling only if it is on the list.
    """

    credential: str
    how: str
    likely: bool = True

    def on(self, has: Callable[[Credential], bool]) -> list[Credential]:
        """Which of a list's credentials it is; `has` says what is on the list."""
        unknown = self.credential.count("?")
        if not unknown:
            return [Credential(self.credential)] if has(Credential(self.credential)) else []
        filled = (self.credential.replace("?" * unknown, f"{digits:0{unknown}X}") for digits in range(16**unknown))
        return [one for one in map(Credential, filled) if has(one)]


def readings(text: str) -> list[Possible]:
    """All that the text may mean, each once, what it spells in full first. Nothing where it means nothing."""
    plain = fold(text).strip()
    scheme, colon, value = plain.partition(":")
    name = scheme.strip().lower()
    if not colon or name not in SCHEMES:
        return _once([*_possible(plain), *_unlikely(plain)])
    try:
        own = [Possible(str(_in_full(plain)), _IN_FULL)]
    except CredentialError:
        own = []  # it may be the writing of a print, with a scheme before it
    # em:0012345678 may be all five bytes in hex, or the number that is printed on the card.
    if own and not value.strip().isdecimal():
        return own
    return _once([*own, *(one for one in _possible(value) if one.credential.startswith(f"{name}:"))])


def looked_up(text: str, has: Callable[[Credential], bool]) -> list[tuple[Possible, list[Credential]]]:
    """What the text may mean, each with what of it is on the list. Raises SpellingError where it means nothing.

    What is spelled in full and on the list is meant, whatever else it may mean.
    """
    found = [(one, on) for one in readings(text) if (on := one.on(has)) or one.likely]
    if not found:
        raise SpellingError(f"{text!r} is no credential in any writing that is known; one would be em:0A00A1B2C3")
    return found[:1] if found[0][0].how == _IN_FULL and found[0][1] else found


def _possible(text: str) -> Iterator[Possible]:
    for writing, how in HOW.items():
        found = read_card(text, writing, _SOME_BYTE).credential
        if found is not None:
            yield Possible(f"em:??{found[5:]}" if writing in NEED_VERSION else found, how)
    pair = read_card(text, Writing.W26_PAIR).credential
    if pair is not None:
        _, _, facility, number = pair.split(":")
        yield Possible(f"em:????{int(facility):02X}{int(number):04X}", "an EM4100 card's last three bytes, as a pair")
    plate = read_plate(text).credential
    if plate is not None:
        yield Possible(plate, "a number plate")


def _unlikely(text: str) -> Iterator[Possible]:
    bare = _BETWEEN.sub("", text).upper()
    for credential in (f"obu:{bare}", f"eid:{bare}", f"plate:{bare}", f"pass:{text}"):
        with suppress(CredentialError):
            yield Possible(canonical(credential), "without its scheme", likely=False)


def _once(found: Iterable[Possible]) -> list[Possible]:
    """The first of each credential."""
    first: dict[str, Possible] = {}
    for one in found:
        first.setdefault(one.credential, one)
    return list(first.values())


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
        bits, *numbers = re.split(r"[:,]", value)
        return ":".join((bits.strip(), *(part.strip().lstrip("0") or "0" for part in numbers)))
    return value.strip()


def _readings(text: str, scheme: str) -> Iterable[str]:
    for writing in Writing:
        if writing not in LOSSY and writing not in NEED_VERSION:
            found = read_card(text, writing).credential
            if found is not None and found.startswith(scheme):
                yield found


def _endings(text: str) -> frozenset[str]:
    found = (read_card(text, writing, _SOME_BYTE).credential for writing in NEED_VERSION)
    return frozenset(one[5:] for one in found if one is not None)
