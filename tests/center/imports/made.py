"""Lists made for one test."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from openpyxl import Workbook

from center import imports
from center.imports import Answers, Writing
from tests.center.imports.samples import FOLDER, TODAY, ZONE

HEX = Answers(cards=Writing.UID_HEX)


def read(path: Path, data: str | bytes, answers: Answers = HEX) -> imports.Imported:
    """What a file with this content gives."""
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return imports.read(path, answers=answers, today=TODAY, zone=ZONE)


def workbook(*sheets: list[list[object]]) -> bytes:
    """An xlsx file with these sheets."""
    book = Workbook()
    for number, rows in enumerate(sheets):
        sheet = book.active if number == 0 else book.create_sheet()
        assert sheet is not None
        for row in rows:
            sheet.append(row)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def repacked(parts: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The sample workbook with some of its parts replaced."""
    data = io.BytesIO()
    with zipfile.ZipFile(FOLDER / "13-parking-community.xlsx") as old, zipfile.ZipFile(data, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, parts.get(name, old.read(name)))
    return data.getvalue()
