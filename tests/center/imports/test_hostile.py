"""Whatever a file holds: one family of errors, and bounds on what it costs."""

import json
import resource
import subprocess
import sys
import zipfile
from itertools import product
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from center import imports
from center.imports import Answers, EndDate, Kind, Midnight, NameOrder, Refusal, Technology, UidReader, Writing
from center.imports.sheets import COLUMNS_MAX, FILE_MAX_BYTES, ROWS_MAX
from center.imports.workbook import THINGS_MAX, UNPACKED_MAX_BYTES
from protocol.credential import canonical
from tests.center.imports.made import read, repacked
from tests.center.imports.samples import FOLDER, LISTS

SHEET = "xl/worksheets/sheet1.xml"
ALL = Answers(
    cards=Writing.EM_DEC10,
    technology=Technology.EM4100,
    version_byte="0A",
    epc=Writing.EPC,
    readers=frozenset(UidReader),
    take=frozenset(Kind),
    end_date=EndDate.INCLUSIVE,
    midnight=Midnight.AS_WRITTEN,
    name_order=NameOrder.LAST_FIRST,
)
ROOT = Path(__file__).parents[3]
MEMORY_MAX_BYTES = 1024**3


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file that each example writes anew."""
    return tmp_path_factory.mktemp("lists") / "list.csv"


def attempt(path: Path, data: bytes) -> None:
    """Read it with and without answers: a report that holds together, or one of our errors."""
    path.write_bytes(data)
    try:
        imports.questions(path)
        report = read(path, data, ALL)
    except imports.ImportsError:
        return
    lines = imports.entries(report, lanes={}, holder=lambda _: "h").entries
    for entry in lines:
        assert canonical(entry.credential) == entry.credential
    assert len({entry.credential for entry in lines}) == len(lines)
    for row in report.rows:
        assert not (row.credentials and row.skipped)


@given(st.binary(max_size=400))
@example(b"\xef\xbb\xbf")
@example(b"\xff\xfe")
@example(b"PK\x03\x04" + b"\0" * 100)
def test_any_bytes(path: Path, data: bytes) -> None:
    """None of them raises anything but our own."""
    attempt(path, data)


@given(st.sampled_from(LISTS), st.data())
def test_damaged_samples(path: Path, name: str, data: st.DataObject) -> None:
    """Real lists with bytes changed, left out or put in."""
    content = bytearray((FOLDER / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(content)))
        content[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    attempt(path, bytes(content))


@given(
    st.lists(
        st.sampled_from(
            ["卡号", "EPC", "车牌号", "姓名", "开始时间", "结束时间", "写法", "车位数", "一位多车", "身份证号"]
        ),
        unique=True,
    ),
    st.lists(
        st.lists(
            st.sampled_from(
                ["", "0012345678", "沪A12345 沪A12346", "2026-12-31", "26/1/1", "46023", "#N/A", '="1"', "是"]
            )
            | st.text(max_size=8),
            max_size=10,
        ),
        max_size=6,
    ),
)
def test_any_cells_under_known_titles(path: Path, titles: list[str], rows: list[list[str]]) -> None:
    """Whatever people type into the columns of a list."""
    lines = ["\t".join(titles), *("\t".join(cell.replace("\t", " ") for cell in row) for row in rows)]
    attempt(path, "\n".join(lines).encode("utf-8", "surrogatepass"))


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6), st.lists, max_leaves=4)
)
def test_any_json_in_place_of_any_value(path: Path, value: object) -> None:
    """Of a user's keys, and of a user."""
    user = {"uid": "11223344", "username": "甲", "acctype": 1, "validsince": 0, "validuntil": 1798732799, "pincode": ""}
    for key in user:
        attempt(path, json.dumps([user | {key: value}, value]).encode())


@given(st.sampled_from([72, 28]), st.integers(1, 3), st.data())
def test_any_records(path: Path, size: int, count: int, data: st.DataObject) -> None:
    """Bytes that look like a device's users at first sight."""
    records = bytearray(data.draw(st.binary(min_size=size * count, max_size=size * count)))
    for start in range(0, len(records), size):
        records[start + 2] &= 0x0F
        records[start + size - 24 : start + size - 22] = b"1\0" if size == 72 else records[start + 4 : start + 6]
        records[start + 20] = 0
    attempt(path, bytes(records))


@given(st.text(max_size=60))
def test_any_xml_in_a_workbook(path: Path, text: str) -> None:
    """In the place of its cells, and among them."""
    sheet = zipfile.ZipFile(FOLDER / "13-parking-community.xlsx").read(SHEET)
    for part in (text.encode("utf-8", "replace"), sheet.replace(b"46023", text.encode("utf-8", "replace"))):
        attempt(path, repacked({SHEET: part}))


@pytest.mark.parametrize(
    "data",
    [
        b"1\n" * (FILE_MAX_BYTES // 2 + 1),
        "卡号\n".encode() + b"1\n" * ROWS_MAX,
        "卡号,姓名".encode() + b"," * COLUMNS_MAX + b"x\n1,2\n",
        b"[" * (ROWS_MAX + 1),
        b"\1\0" + b"\0" * 18 + b"\0\0\0\0" + b"\1\0\0\0" + b"\0" * 28 * ROWS_MAX,
        repacked({SHEET: b" " * (UNPACKED_MAX_BYTES + 1)}),
        repacked({SHEET: b"<a>" + b"<b/>" * THINGS_MAX + b"</a>"}),
        repacked({"xl/styles.xml": b"<a" + b" b='c'" * 500_000 + b"/>"}),
        repacked(
            {
                SHEET: b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
                b'<row r="999999999"><c r="A999999999"><v>1</v></c></row></sheetData></worksheet>'
            }
        ),
    ],
    ids=["bytes", "lines", "columns", "json", "records", "unpacked", "elements", "token", "far-row"],
)
def test_beyond_the_bounds_a_file_is_refused(path: Path, data: bytes) -> None:
    """Before it costs what it would."""
    with pytest.raises(imports.UnreadableList) as refused:
        read(path, data, ALL)
    assert refused.value.reason == Refusal.TOO_LARGE


def test_entities_and_unusual_packing_are_refused(path: Path) -> None:
    """Both are ways to make much out of little."""
    bomb = b'<!DOCTYPE a [<!ENTITY b "cccc">]><worksheet>&b;</worksheet>'
    for data in (repacked({SHEET: bomb}), repacked({}, zipfile.ZIP_LZMA)):
        with pytest.raises(imports.UnreadableList) as refused:
            read(path, data, ALL)
        assert refused.value.reason == Refusal.DAMAGED


def test_what_stays_within_the_bounds_fits_into_memory(tmp_path: Path) -> None:
    """The worst that each format still allows is read, or refused, in a gigabyte of address space."""
    cells = b"<c><v>1</v></c>" * (THINGS_MAX // 2 - 1000)
    worst = {
        "cells.xlsx": repacked({SHEET: b"<worksheet><sheetData><row>" + cells + b"</row></sheetData></worksheet>"}),
        "keys.json": b'{"uid":1,' + b",".join(b'"%x":1' % number for number in range(700_000)) + b"}",
        "cells.csv": "卡号,姓名\n".encode() + (b"ab," * 200 + b"\n") * 13_000,
    }
    for name, data in worst.items():
        (tmp_path / name).write_bytes(data)
        assert len(data) <= FILE_MAX_BYTES
    program = (
        "import sys, pathlib\nfrom center import imports\n"
        "for name in sys.argv[1:]:\n"
        "    try: imports.questions(pathlib.Path(name))\n"
        "    except imports.ImportsError as error: print(error)\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, *(str(tmp_path / name) for name in worst)],
        check=True,
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES)),
    )


def test_every_pair_of_encodings_and_line_ends(path: Path) -> None:
    """The same list, however a spreadsheet saved it."""
    text = "卡号,姓名\n0012345678,甲\n"
    for encoding, end in product(["utf-8", "utf-8-sig", "gb18030", "utf-16"], ["\n", "\r\n", "\r"]):
        report = read(path, text.replace("\n", end).encode(encoding), ALL)
        assert report.rows[0].credentials == ("em:0A00BC614E",), (encoding, end)
