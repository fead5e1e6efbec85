"""Credentials: what a reader reads, in one canonical form each.

A credential is `scheme:VALUE`; two credentials are equal if and only if their strings are. Each scheme has one
canonical writing (`canonical` refuses the others), and a strength that pages and documents show.
"""

import re
from enum import StrEnum
from typing import Final, NewType

Credential = NewType("Credential", str)


class Strength(StrEnum):
    """How hard a credential is to imitate."""

    CLONABLE = "clonable"
    BOUND = "bound"
    SIGNED = "signed"


class CredentialError(ValueError):
    """The text is no credential in canonical form; the message says what would be right."""


_HEX: Final = r"(?:[0-9A-F]{2})"
# Simplified characters only, as plates have them: another writing of the same plate would be another credential.
# Behind the provinces: embassies, civil aviation, and the army's own, as before 2013.
_PLATE: Final = (
    r"(?=.{5,10}\Z)(?:WJ)?[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使民军空海北沈兰济南广成]?"
    r"[A-Z0-9]+(?:[学警港澳挂使领]|应急)?"
)
_SCHEMES: Final[dict[str, tuple[Strength, re.Pattern[str], str]]] = {
    "em": (Strength.CLONABLE, re.compile(_HEX + r"{5}"), "10 upper-case hex digits (em:0A00A1B2C3)"),
    "uid": (Strength.CLONABLE, re.compile(_HEX + r"{4,10}"), "8 to 20 upper-case hex digits (uid:04A2B3C4)"),
    "epc": (
        Strength.CLONABLE,
        re.compile(r"(?:[0-9A-F]{4}){1,31}"),
        "upper-case hex digits, whole 16-bit words (epc:E28011…)",
    ),
    "obu": (Strength.BOUND, re.compile(_HEX + r"{4,16}"), "8 to 32 upper-case hex digits (obu:A1B2C3D4)"),
    "plate": (
        Strength.CLONABLE,
        re.compile(_PLATE),
        "5 to 10 characters: the province's, letters A-Z and digits, 学警港澳挂使领 or 应急 last (plate:沪A12345)",
    ),
    "wiegand": (
        Strength.CLONABLE,
        re.compile(r"[0-9]{2}:(?:0|[1-9][0-9]{0,5}):(?:0|[1-9][0-9]{0,10})"),
        "bits:facility:number (wiegand:26:123:45678)",
    ),
    "eid": (Strength.SIGNED, re.compile(_HEX + r"{4,32}"), "8 to 64 upper-case hex digits (eid:0123456789ABCDEF)"),
    "pass": (Strength.SIGNED, re.compile(r"[0-9A-Za-z_-]{4,64}"), "4 to 64 letters, digits, - and _ (pass:k3J9)"),
}
SCHEMES: Final = tuple(_SCHEMES)
_SHOWN_MAX: Final = 140  # the longest credential has 128


def canonical(text: str) -> Credential:
    """The credential that `text` writes; raises CredentialError for anything but its one canonical form."""
    scheme, _, value = text.partition(":")
    if scheme not in _SCHEMES:
        raise CredentialError(f"{_shown(text)} has no known scheme; known are {', '.join(SCHEMES)}")
    _, pattern, example = _SCHEMES[scheme]
    if not pattern.fullmatch(value):
        raise CredentialError(f"{_shown(text)} is not canonical: after {scheme}: come {example}")
    return Credential(text)


def _shown(text: str) -> str:
    written = repr(text)
    return written if len(written) <= _SHOWN_MAX else written[: _SHOWN_MAX - 1] + "…"


def strength(credential: Credential) -> Strength:
    """How hard this credential is to imitate; an epc bound to its tid is stronger than said here."""
    return _SCHEMES[credential.partition(":")[0]][0]


def masked(credential: Credential) -> str:
    """The credential as logs may show it: scheme and last four characters, but never more than half of them."""
    scheme, _, value = credential.partition(":")
    return f"{scheme}:…{value[-min(4, len(value) // 2) :]}"
