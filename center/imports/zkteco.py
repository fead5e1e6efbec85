"""The user.dat of ZKTeco devices: records of 72 or 28 bytes, as the device keeps its users.

    72: uid u16, token u8, password 8, name 24, card u32, group u8, zones 8 bytes, user id text 24
    28: uid u16, token u8, password 5, name 8, card u32, pad, group u8, zone u16, user id u32

- All numbers are little-endian. The token's bit 0 is "disabled", bits 1 to 3 are rights on the device: no right here.
- Over the network the records come behind their length, a u32.
- Behind the NUL of a password lies rubbish. Names are UTF-8, or GBK on Chinese devices, cut anywhere.
- Card 0 is a face or a finger only. An attendance log has user numbers, and no card: it is refused by name.

Sources: pyzk `zk/base.py` (get_users), adrobinoga/zk-protocol `sections/data-user.md`.
"""

import re
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from center.imports.codes import Refusal, Skip
from center.imports.model import About, Answers, Question, UnreadableList, When
from center.imports.rows import Draft
from center.imports.sheets import ROWS_MAX, too_large
from center.imports.writings import card_questions
from protocol.card_number import Writing, read_card
from protocol.written import Cell, Note

_SIZES: Final = (72, 28)
_DISABLED: Final = 0b0000_0001
_RIGHTS: Final = 0b0000_1110
_NO_TOKEN: Final = 0b1111_0000
_FORMAT_72: Final = struct.Struct("<HB8s24sIB8s24s")
_FORMAT_28: Final = struct.Struct("<HB5s8sIxBHI")
_USER_ID: Final = re.compile(rb"([0-9A-Za-z]{1,24})\0*")
_USER_ID_MAX: Final = 1_000_000_000
_ATTENDANCE: Final = re.compile(
    r" *[0-9A-Za-z]{1,24}\t[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\t[0-9]+){1,6}\s*"
)
_LOOK_LINES: Final = 5
_HALF: Final = frozenset({"unexpected end of data", "incomplete multibyte sequence"})


class _User(NamedTuple):
    """One record. A name is still bytes, with `room` for so many more in its field."""

    uid: int
    token: int
    password: bool
    name: bytes
    room: int
    card: int
    person: str


class ZkUsers:
    """The users of a device."""

    def __init__(self, users: list[_User], size: int) -> None:
        self._users = users
        self._encoding = "utf-8" if all(_name(user, "utf-8") is not None for user in users) else "gbk"
        named = "ascii" if all(user.name.isascii() for user in users) else self._encoding
        shape = f"binary, {size}-byte records"
        self.about = About(f"{named} (name field)", shape, None, "record number from 1", ("password",))

    def cards(self) -> Iterator[tuple[int, Cell]]:
        """The cards of those that have one."""
        return ((number, user.card) for number, user in enumerate(self._users, start=1) if user.card)

    def questions(self, answers: Answers) -> tuple[Question, ...]:
        """How the device's readers wrote the cards."""
        return tuple(card_questions("card", self.cards(), answers))

    def drafts(self, answers: Answers, _: When) -> Iterator[Draft]:
        """Each user as a row."""
        for number, user in enumerate(self._users, start=1):
            yield self._draft(number, user, answers)

    def _draft(self, number: int, user: _User, answers: Answers) -> Draft:
        name = _name(user, self._encoding)
        draft = Draft(number, name or None, user.person)
        if user.token & _DISABLED:
            draft.skipped = Skip.DISABLED
        elif not user.card:
            draft.skipped = Skip.NO_CARD
        elif chosen := answers.chosen.get((number, "card")):
            for credential in chosen:
                draft.claim("card", user.card, credential)
        else:
            reading = read_card(str(user.card), answers.cards or Writing.EM_DEC10, answers.version_byte)
            draft.take("card", user.card, reading)
        if name is None:
            draft.note(Note.NAME_UNREADABLE)
        elif not user.room or name.encode(self._encoding) != user.name:
            draft.note(Note.NAME_CUT)
        if user.token & _RIGHTS:
            draft.note(Note.ADMIN)
        if user.password:
            draft.note(Note.PASSWORD)
        return draft


def read_users(data: bytes) -> ZkUsers | None:
    """The users in a file of records; None if it is no such file."""
    if len(data) > 4 and int.from_bytes(data[:4], "little") == len(data) - 4:  # noqa: PLR2004 - the length's own bytes
        data = data[4:]
    for size in _SIZES:
        if data and len(data) % size == 0:
            if len(data) // size > ROWS_MAX:
                raise too_large()
            users = [_user(data[place : place + size]) for place in range(0, len(data), size)]
            known = [user for user in users if user]
            if len(known) == len(users):
                return ZkUsers(known, size)
    return None


def refuse_attendance(text: str, encoding: str, ends: str) -> None:
    """Raise UnreadableList if the text is a device's log of who came when."""
    lines = text.splitlines()[:_LOOK_LINES]
    if lines and all(_ATTENDANCE.fullmatch(line) for line in lines):
        message = "user numbers are not card numbers; import nothing from it, and ask for the device's user.dat"
        raise UnreadableList(Refusal.ATTENDANCE, message, encoding=encoding, shape=f"tab separated, no header, {ends}")


def _user(record: bytes) -> _User | None:
    """The user in a record; None if it cannot be one."""
    if len(record) == _FORMAT_72.size:
        uid, token, password, name, card, _, _, person = _FORMAT_72.unpack(record)
        match = _USER_ID.match(person)
        number = match[1].decode() if match else ""
    else:
        uid, token, password, name, card, _, _, person = _FORMAT_28.unpack(record)
        number = str(person) if 0 < person < _USER_ID_MAX and not record[20] else ""
    if not uid or not number or token & _NO_TOKEN:
        return None
    text = name.partition(b"\0")[0]
    return _User(uid, token, not password.startswith(b"\0"), text, len(name) - len(text), card, number)


def _name(user: _User, encoding: str) -> str | None:
    """The name, without a character that the device cut in two; None where it is in another encoding."""
    try:
        return user.name.decode(encoding)
    except UnicodeDecodeError as error:
        if user.room <= 1 and error.reason in _HALF:
            return user.name[: error.start].decode(encoding)
        return None
