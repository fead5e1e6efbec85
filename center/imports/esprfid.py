"""Users of esp-rfid: a backup (one JSON object with a list), or what it sends over MQTT, one object a line.

- `uid` holds what any of the reader kinds wrote that were ever connected, without saying which: bytes in hex of which
  older firmware drops leading zeros (MFRC522, PN532), always ten hex digits (RDM6300), Wiegand in decimal, or in hex
  where so configured. So a person is asked for the kinds, and a value that two of them may have written waits.
- `acctype` is 1 for a user, 0 for one who is shut out, 99 for an administrator, which is no right here.
- Times are Unix seconds; a `validuntil` of 0 is over.

Sources: esprfid/esp-rfid `esprfid.js`, `rfid.esp`, `README-MQTT.md`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

from center.imports.codes import Refusal, Skip
from center.imports.model import COUNTED, About, Answers, Choice, Question, UidReader, UnreadableList, When
from center.imports.rows import Draft
from center.imports.sheets import ROWS_MAX, too_large
from center.imports.text import line_ends
from protocol.card_number import Writing, read_card
from protocol.credential import Credential
from protocol.written import Cell, Note, Reading, Reason, Trouble

_ADMIN: Final = 99
_TIME_MAX_S: Final = 253_000_000_000
"""In the year 9987: what follows is no time that anybody meant."""
_UID_DIGITS_MIN: Final = 7
_WIEGAND_DEC_DIGITS_MAX: Final = 8
_WIEGAND_HEX_DIGITS: Final = 6
_EM_DIGITS: Final = 10
_PIN_DIGITS_MAX: Final = 4
_SECRET: Final = ("pin", "pincode", "password")
_SHOWN_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class _User:
    """What stands in one place of the list: an object, or text that is none."""

    number: int
    values: dict[str, object] | None
    text: str = ""


class EspUsers:
    """The users of a reader."""

    def __init__(self, users: list[_User], about: About) -> None:
        self._users = users
        self.about = about

    def cards(self) -> Iterator[tuple[int, Cell]]:
        """The uid of those that have one."""
        for user in self._users:
            if user.values and (uid := _cell(user.values.get("uid"))) != "":
                yield user.number, uid

    def questions(self, answers: Answers) -> tuple[Question, ...]:
        """Which readers were ever connected."""
        if answers.readers:
            return ()
        return (Question("readers", "uid", tuple(Choice(kind) for kind in UidReader), several=True),)

    def drafts(self, answers: Answers, when: When) -> Iterator[Draft]:
        """Each user as a row."""
        return (_draft(user, answers, when) for user in self._users)


def read_json(text: str, encoding: str) -> EspUsers:
    """The users in a backup or in lines of messages; raises UnreadableList for any other JSON, and for none."""
    if text.count("{") + text.count("[") > ROWS_MAX:
        raise too_large()
    whole = _parsed(text)
    if isinstance(whole, dict) and isinstance(whole.get("list"), list):
        whole = whole["list"]
    if isinstance(whole, list):
        users = [_user(number, item) for number, item in enumerate(whole, start=1)]
        about = _about(users, encoding, "json, list", "place in list from 1")
    else:
        lines = enumerate(text.splitlines(), start=1)
        users = [_user(number, _parsed(line), line) for number, line in lines if line.strip()]
        about = _about(users, encoding, f"one json object a line, {line_ends(text)}", COUNTED)
    if not any(user.values and "uid" in user.values for user in users):
        message = "no object has a uid; an esp-rfid backup and its messages are read"
        raise UnreadableList(Refusal.UNKNOWN_JSON, message, encoding=encoding, shape="json")
    return EspUsers(users, about)


def _about(users: list[_User], encoding: str, shape: str, row_is: str) -> About:
    secret = tuple(key for key in _SECRET if any(user.values and user.values.get(key) for user in users))
    return About(encoding, shape, None, row_is, secret)


def _parsed(text: str) -> object:
    """What the text says; None where it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # ValueError also for an integer of more digits than Python converts
        return None


def _user(number: int, item: object, text: str | None = None) -> _User:
    if isinstance(item, dict):
        return _User(number, item)
    return _User(number, None, text if text is not None else _shown(item))


def _shown(item: object) -> str:
    try:
        return json.dumps(item, ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""


def _cell(value: object) -> Cell:
    """A value as a report may show it."""
    if value is None:
        return ""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    return _shown(value)[:_SHOWN_MAX]


def _draft(user: _User, answers: Answers, when: When) -> Draft:
    draft = Draft(user.number)
    if user.values is None:
        secret = any(key in user.text.lower() for key in _SECRET)
        draft.hold(None, None if secret else user.text[:_SHOWN_MAX], Trouble(Reason.NOT_JSON))
        return draft
    draft.name = str(_cell(user.values.get("username", user.values.get("user")))).strip() or None
    _read_account(draft, _cell(user.values.get("acctype")))
    if draft.skipped:
        return draft
    draft.begins = _time(draft, "validsince", user.values, when.zone)
    draft.until = _time(draft, "validuntil", user.values, when.zone)
    uid = _cell(user.values.get("uid"))
    if uid == "":
        draft.hold("uid", "", Trouble(Reason.REQUIRED_EMPTY))
    _judge(draft, user.values, when)
    if draft.held or draft.skipped:
        return draft
    if any(user.values.get(key) for key in _SECRET):
        draft.note(Note.PIN)
    if chosen := answers.chosen.get((user.number, "uid")):
        for credential in chosen:
            draft.claim("uid", uid, credential)
    else:
        draft.take("uid", uid, read_uid(uid, answers.readers or frozenset()))
    return draft


def _read_account(draft: Draft, account: Cell) -> None:
    if account == 0 and account != "":
        draft.skipped = Skip.DISABLED
    elif account == _ADMIN:
        draft.note(Note.ADMIN)
    elif account != 1:
        draft.hold("acctype", account, Trouble(Reason.REQUIRED_EMPTY if account == "" else Reason.UNKNOWN_GROUP))


def _time(draft: Draft, key: str, values: dict[str, object], zone: tzinfo) -> datetime | None:
    """The time under this key; None for none, and for a `validuntil` of 0, which `_judge` looks at."""
    value = _cell(values.get(key))
    if isinstance(value, int) and 0 <= value <= _TIME_MAX_S:
        return datetime.fromtimestamp(value, zone) if value else None
    if value != "":
        draft.hold(key, value, Trouble(Reason.DATE_UNREADABLE))
    elif key == "validuntil":
        draft.hold(key, "", Trouble(Reason.REQUIRED_EMPTY))
    return None


def _judge(draft: Draft, values: dict[str, object], when: When) -> None:
    if draft.held:
        return
    if draft.until is None:
        draft.skipped = Skip.EXPIRED
    elif draft.begins and draft.until < draft.begins:
        draft.hold("validuntil", _cell(values["validuntil"]), Trouble(Reason.UNTIL_BEFORE_FROM))
    else:
        draft.judge_period(when)


def read_uid(cell: Cell, kinds: frozenset[UidReader]) -> Reading:
    """The credential of a `uid`, if only one of these kinds of readers can have written it."""
    text = str(cell).strip().upper()
    if not re.fullmatch(r"[0-9A-F]+", text):
        return Reading(trouble=Trouble(Reason.NOT_HEX))
    if UidReader.EM in kinds and len(text) == _EM_DIGITS:
        return read_card(text, Writing.EM_HEX10)
    wiegand = _wiegand(text, kinds)
    if len(text) < _WIEGAND_HEX_DIGITS:
        return Reading(trouble=Trouble(Reason.TOO_SHORT, wiegand if len(text) > _PIN_DIGITS_MAX else ()))
    is_uid = UidReader.UID in kinds and len(text) >= _UID_DIGITS_MIN
    uid = read_card(text, Writing.UID_HEX) if is_uid else Reading(trouble=Trouble(Reason.WRONG_LENGTH))
    as_uid = (uid.credential,) if uid.credential else uid.trouble.candidates if uid.trouble else ()
    if len(wiegand) > 1 or (wiegand and as_uid):
        return Reading(trouble=Trouble(Reason.HEX_OR_DECIMAL, (*as_uid, *wiegand)))
    return Reading(wiegand[0]) if wiegand else uid


def _wiegand(text: str, kinds: frozenset[UidReader]) -> tuple[Credential, ...]:
    """What Wiegand readers may have meant: decimal, hex, or either."""
    readings = []
    if UidReader.WIEGAND_DEC in kinds and len(text) <= _WIEGAND_DEC_DIGITS_MAX:
        readings.append(read_card(text, Writing.W26_DEC))
    if UidReader.WIEGAND_HEX in kinds and len(text) <= _WIEGAND_HEX_DIGITS:
        readings.append(read_card(text.zfill(_WIEGAND_HEX_DIGITS), Writing.W26_HEX6))
    return tuple(dict.fromkeys(reading.credential for reading in readings if reading.credential))
