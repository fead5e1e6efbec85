"""The sample lists, and what a person answered when asked about each."""

import json
from dataclasses import fields
from datetime import date, timedelta, timezone
from pathlib import Path
from typing import Any, Final

from center import imports
from center.imports import Answers, EndDate, Kind, Midnight, NameOrder, Technology, UidReader, Writing

FOLDER: Final = Path(__file__).parents[2] / "vectors" / "imports"
EXPECTED: Final[dict[str, Any]] = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
FILES: Final[dict[str, Any]] = EXPECTED["files"]
TODAY: Final = date.fromisoformat(EXPECTED["today"])
ZONE: Final = timezone(timedelta(hours=8))
LISTS: Final = [name for name, expected in FILES.items() if "file_error" not in expected]

ANSWERS: Final = {
    "01-uhppoted-acl.tsv": Answers(cards=Writing.W26_JOINED),
    "02-uhppoted-acl-pin.tsv": Answers(cards=Writing.W26_JOINED),
    "03-zk-user72.dat": Answers(cards=Writing.EM_DEC10, version_byte="0A"),
    "04-zk-user28.dat": Answers(cards=Writing.W26_DEC),
    "06-zk-personnel.csv": Answers(cards=Writing.W26_DEC),
    "07-hik-anpr-plates.csv": Answers(),
    "08-hikcentral-persons.xlsx": Answers(cards=Writing.UID_DEC, name_order=NameOrder.LAST_FIRST),
    "09-mifare-hex.txt": Answers(cards=Writing.UID_HEX),
    "10-dahua-allowlist.csv": Answers(midnight=Midnight.AS_WRITTEN),
    "11-parking-monthly.csv": Answers(end_date=EndDate.INCLUSIVE),
    "12-parking-excel-unicode.txt": Answers(end_date=EndDate.INCLUSIVE),
    "13-parking-community.xlsx": Answers(end_date=EndDate.INCLUSIVE),
    "14-esp-rfid-users.json": Answers(readers=frozenset({UidReader.UID, UidReader.EM, UidReader.WIEGAND_DEC})),
    "15-esp-rfid-mqtt.ndjson": Answers(readers=frozenset({UidReader.UID, UidReader.EM, UidReader.WIEGAND_HEX})),
    "16-cards-by-convention.csv": Answers(technology=Technology.EM4100, version_byte="0A"),
    "17-uhf-tags.csv": Answers(epc=Writing.EPC, take=frozenset({Kind.EPC, Kind.PLATE})),
}


def read(name: str, answers: Answers | None = None) -> imports.Imported:
    """The sample as read on the day that `expected.json` names."""
    return imports.read(FOLDER / name, answers=answers or ANSWERS[name], today=TODAY, zone=ZONE)


def described(row: imports.Row) -> dict[str, Any]:
    """A row in the words of `expected.json`: nothing that is empty, warnings in no order."""
    assert {item.name for item in fields(row)} == _KEYS | {"number", "person", "begins"}
    told = {key: _told(getattr(row, key)) for key in _KEYS} | {"row": row.number, "from": _told(row.begins)}
    if row.doors is not None:
        told["doors"] = dict(row.doors)
    told["errors"] = [_error(problem) for problem in row.errors]
    return {key: value for key, value in told.items() if value not in (None, [])} | {
        "credentials": list(row.credentials)
    }


_KEYS: Final = {
    *("credentials", "until", "doors", "at_most_inside", "id_checksum", "skipped", "of_row", "errors", "warnings"),
    "name",
}


def _told(value: object) -> object:
    if hasattr(value, "isoformat"):
        moment: str = value.isoformat()
        return moment.removesuffix("+08:00")
    return sorted(value) if isinstance(value, tuple) and all(isinstance(part, str) for part in value) else value


def _error(problem: imports.Problem) -> dict[str, Any]:
    told: dict[str, Any] = {"column": problem.column, "value": problem.value, "reason": problem.reason}
    if problem.candidates:
        told["candidates"] = list(problem.candidates)
    if problem.rows:
        told["rows"] = list(problem.rows)
    return told
