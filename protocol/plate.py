"""Number plates: spaces, points and dashes go, letters become plain capitals; nothing else is changed silently.

- An ordinary plate is province, letter, five characters; with new energy six. No I and no O stands in the serial:
  one that does is proposed as 1 or 0, and a person decides.
- Plates of embassies, police, trailers, ports and the army are taken if they are canonical (`protocol.credential`).
- A plate without its province is none, and `泸` is no province.
"""

import re
from typing import Final

from protocol.credential import Credential, CredentialError, canonical
from protocol.written import Cell, Note, Reading, Reason, Trouble, clean, meant

PROVINCES: Final = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"

_SEPARATORS: Final = re.compile(r"[\s·.•・‧∙-]")
_SUFFIX: Final = re.compile(r"(.+?)_[A-Z]+")
_SERIAL: Final = r"[A-HJ-NP-Z0-9]"
# New energy: D and F at first, since 2020 A to E and F to K; large vehicles have the letter last.
_ORDINARY: Final = re.compile(
    rf"[{PROVINCES}][A-Z](?:{_SERIAL}{{5}}|{_SERIAL}{{4}}[挂学警港澳领]|[A-HJK]{_SERIAL}[0-9]{{4}}|[0-9]{{5}}[A-HJK])"
)
_OTHER: Final = re.compile(
    rf"使[0-9]{{6}}|民[A-Z0-9]{{5,6}}|[{PROVINCES}][0-9]{{4,5}}使|[{PROVINCES}][A-Z]{_SERIAL}{{4,5}}应急"
    rf"|WJ[{PROVINCES}]?[0-9]{{4,5}}[A-Z0-9]?|[军空海北沈兰济南广成][A-Z]{_SERIAL}{{5}}"
)
_LIKE: Final = re.compile(rf"[{PROVINCES}][A-Z][A-Z0-9]{{4,5}}[A-Z0-9挂学警港澳领]")
_LENGTHS: Final = frozenset({7, 8})
_LOOK_ALIKE: Final = dict(zip("泸滬蘇遼貴雲陝贛寧魯閩瓊黔滇秦陇蜀", "沪沪苏辽贵云陕赣宁鲁闽琼贵云陕甘川", strict=True))
"""Characters that are taken for a province: they look alike, are its old form, or its other name."""


def read_plate(cell: Cell) -> Reading:
    """The credential of the one plate in `cell`."""
    text, notes, trouble = clean(cell)
    if trouble or not isinstance(cell, str):
        return Reading(trouble=Trouble(Reason.NUMBER_CELL) if not isinstance(cell, str) else trouble)
    plain = _SEPARATORS.sub("", text)
    if plain != text:
        notes += (Note.SEPARATOR,)
    if plain.upper() != plain:
        notes += (Note.CASE,)
    read = _plate(plain.upper())
    return Reading(trouble=read, notes=notes) if isinstance(read, Trouble) else Reading(read, None, notes)


def split_plates(text: str) -> list[str]:
    """The plates of a cell that may hold several; a space parts two of them only where the next one begins."""
    parts = re.split(rf"[,，、;；/\n]|\s+(?=[{PROVINCES}])", text)
    return [part.strip() for part in parts if part.strip()]


def _plate(plate: str) -> Credential | Trouble:
    if match := _SUFFIX.fullmatch(plate):
        return Trouble(Reason.PLATE_SUFFIX, _candidates(match[1]))
    if _ORDINARY.fullmatch(plate) or _OTHER.fullmatch(plate):
        try:
            return canonical(f"plate:{plate}")
        except CredentialError:
            return Trouble(Reason.PLATE_NOT_UNDERSTOOD)
    return _trouble(plate)


def _trouble(plate: str) -> Trouble:
    if re.match(r"[A-Z0-9]", plate):
        return Trouble(Reason.PLATE_NO_PROVINCE)
    if plate[:1] not in PROVINCES:
        other = _LOOK_ALIKE.get(plate[:1])
        return Trouble(Reason.PLATE_UNKNOWN_PROVINCE, _candidates(other + plate[1:]) if other else ())
    if len(plate) not in _LENGTHS:
        return Trouble(Reason.PLATE_LENGTH)
    if _LIKE.fullmatch(plate) and re.search(r"[OI]", plate[2:]):
        return Trouble(Reason.PLATE_O_OR_I, _candidates(plate[:2] + meant(plate[2:])))
    return Trouble(Reason.PLATE_NOT_UNDERSTOOD)


def _candidates(plate: str) -> tuple[str, ...]:
    read = _plate(plate) if not _SUFFIX.fullmatch(plate) else None
    return (read,) if isinstance(read, str) else ()
