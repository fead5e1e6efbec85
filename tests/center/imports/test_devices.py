"""Lists out of devices: ZKTeco's user.dat, esp-rfid's JSON."""

import json
import struct
from pathlib import Path

import pytest

from center import imports
from center.imports import Answers, Note, Place, Reason, Refusal, Skip, UidReader, Writing
from protocol.credential import Credential
from tests.center.imports.made import read

UID = Answers(readers=frozenset({UidReader.UID}))
W26 = Answers(cards=Writing.W26_DEC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test puts its list; the name says nothing of its kind."""
    return tmp_path / "list"


def record(uid: int, card: int, name: bytes = b"", token: int = 0) -> bytes:
    """A user of 72 bytes."""
    return struct.pack("<HB8s24sIB8s24s", uid, token, b"\0secret", name, card, 1, b"", str(100 + uid).encode())


def user(**values: object) -> dict[str, object]:
    """A user of esp-rfid."""
    return {"uid": "11223344", "username": "甲", "acctype": 1, "validuntil": 1798732799} | values


def test_users_sent_over_the_network_come_behind_their_length(path: Path) -> None:
    """The same records as in a file."""
    records = record(1, 12345678) + record(2, 11111111)
    report = read(path, len(records).to_bytes(4, "little") + records, W26)
    assert [row.credentials for row in report.rows] == [("wiegand:26:188:24910",), ("wiegand:26:169:35527",)]
    assert report.about.encoding == "ascii (name field)"


def test_names_are_utf8_where_all_of_them_are(path: Path) -> None:
    """A character that the device cut in two is dropped, and told."""
    report = read(path, record(1, 1, "测试甲".encode()) + record(2, 2, ("测试乙" * 3).encode()[:23]), W26)
    assert report.about.encoding == "utf-8 (name field)"
    assert [row.name for row in report.rows] == ["测试甲", "测试乙测试乙测"]
    assert Note.NAME_CUT in report.rows[1].warnings


def test_a_name_in_no_known_encoding_costs_the_name_only(path: Path) -> None:
    """The card is what the list is about."""
    (row,) = read(path, record(1, 1, b"\xff\xff"), W26).rows
    assert (row.credentials, row.name, row.warnings) == (("wiegand:26:0:1",), None, (Note.NAME_UNREADABLE,))


def test_a_length_that_fits_both_kinds_is_settled_by_the_user_ids(path: Path) -> None:
    """504 bytes are seven records of 72 or eighteen of 28."""
    small = b"".join(struct.pack("<HB5s8sIxBHI", n, 0, b"", b"", n, 1, 1, n) for n in range(1, 19))
    assert read(path, small, W26).about.format == "binary, 28-byte records"
    large = b"".join(record(n, n) for n in range(1, 8))
    assert read(path, large, W26).about.format == "binary, 72-byte records"


def test_a_card_of_a_device_settled_by_hand(path: Path) -> None:
    """By record and column, as the report names them."""
    chosen: dict[Place, tuple[Credential, ...]] = {(1, "card"): (Credential("em:0A499602D2"),)}
    (row,) = read(path, record(1, 1234567890), Answers(cards=Writing.W26_DEC, chosen=chosen)).rows
    assert row.credentials == ("em:0A499602D2",)


@pytest.mark.parametrize(
    ("uid", "readers", "credential", "reason"),
    [
        ("1bec07ec", {UidReader.UID}, "uid:1BEC07EC", None),
        ("0a00bc614e", {UidReader.EM}, "em:0A00BC614E", None),
        ("12345678", {UidReader.UID}, "uid:12345678", None),
        ("12345678", {UidReader.WIEGAND_DEC}, "wiegand:26:188:24910", None),
        ("12345678", {UidReader.UID, UidReader.WIEGAND_DEC}, None, Reason.HEX_OR_DECIMAL),
        ("123456", {UidReader.WIEGAND_HEX, UidReader.WIEGAND_DEC}, None, Reason.HEX_OR_DECIMAL),
        ("bc614e", {UidReader.WIEGAND_HEX, UidReader.UID}, "wiegand:26:188:24910", None),
        ("bc614e", {UidReader.UID}, None, Reason.WRONG_LENGTH),
        ("0a00bc614e", {UidReader.UID}, None, Reason.WRONG_LENGTH),
        ("c614e", {UidReader.WIEGAND_HEX}, None, Reason.TOO_SHORT),
        ("xyz", {UidReader.UID}, None, Reason.NOT_HEX),
        (12345678, {UidReader.UID}, "uid:12345678", None),
        ([], {UidReader.UID}, None, Reason.NOT_HEX),
    ],
)
def test_a_uid_by_the_readers_that_were_used(
    path: Path, uid: object, readers: set[UidReader], credential: str | None, reason: Reason | None
) -> None:
    """Only what no other of these readers can have written is taken."""
    (row,) = read(path, json.dumps({"list": [user(uid=uid)]}), Answers(readers=frozenset(readers))).rows
    assert row.credentials == ((credential,) if credential else ())
    assert [problem.reason for problem in row.errors] == ([reason] if reason else [])


@pytest.mark.parametrize(
    ("values", "skipped", "reason"),
    [
        ({"acctype": 0}, Skip.DISABLED, None),
        ({"acctype": 2}, None, Reason.UNKNOWN_GROUP),
        ({"acctype": True}, None, Reason.UNKNOWN_GROUP),
        ({"acctype": None}, None, Reason.REQUIRED_EMPTY),
        ({"validuntil": 1}, Skip.EXPIRED, None),
        ({"validuntil": None}, None, Reason.REQUIRED_EMPTY),
        ({"validuntil": "soon"}, None, Reason.DATE_UNREADABLE),
        ({"validuntil": 10**30}, None, Reason.DATE_UNREADABLE),
        ({"validuntil": -1}, None, Reason.DATE_UNREADABLE),
        ({"validsince": 1800000000}, None, Reason.UNTIL_BEFORE_FROM),
        ({"uid": ""}, None, Reason.REQUIRED_EMPTY),
    ],
)
def test_a_user_who_is_not_taken(path: Path, values: dict[str, object], skipped: Skip | None, reason: Reason) -> None:
    """Whatever is not plainly a right is none."""
    row, _ = read(path, json.dumps([user(**values), user(uid="55667799")]), UID).rows
    assert (row.credentials, row.skipped) == ((), skipped)
    assert [problem.reason for problem in row.errors] == ([reason] if reason else [])


def test_a_uid_proved_or_settled_by_hand(path: Path) -> None:
    """A card at a reader says which of the writings it is, and a person may say so of one user."""
    data = json.dumps([user(uid="12345678"), user(uid="11223344")])
    chosen: dict[Place, tuple[Credential, ...]] = {(1, "uid"): (Credential("wiegand:26:188:24910"),)}
    report = read(path, data, Answers(readers=frozenset(UidReader), chosen=chosen))
    assert [row.credentials for row in report.rows] == [("wiegand:26:188:24910",), ()]
    assert [found.writing for found in imports.fitting(path, {2: Credential("uid:11223344")})] == [Writing.UID_HEX]


def test_an_administrator_is_a_user_here(path: Path) -> None:
    """What somebody may do on a device is nothing at the gate; a PIN goes nowhere."""
    report = read(path, json.dumps([user(acctype=99, pincode="4711")]), UID)
    assert report.rows[0].warnings == (Note.ADMIN, Note.PIN)
    assert report.about.never_echo == ("pincode",)
    assert "4711" not in repr(report)


def test_broken_lines_are_told_one_by_one(path: Path) -> None:
    """Without their text where it may hold a secret."""
    lines = [json.dumps(user()), '{"uid": "5566', '{"uid": "1", "pincode": "4711', "17"]
    report = read(path, "\n".join(lines), UID)
    assert [(problem.row, problem.value) for problem in report.errors] == [(2, '{"uid": "5566'), (3, None), (4, "17")]
    assert {problem.reason for problem in report.errors} == {Reason.NOT_JSON}


def test_json_of_something_else_is_refused(path: Path) -> None:
    """Without a single uid it is no list of users."""
    for text in ("[]", "{}", '[{"id": 1}]', "[" * 50_000, '{"list": [' + "1" * 5000 + "]}"):
        with pytest.raises(imports.UnreadableList) as refused:
            read(path, text, UID)
        assert refused.value.reason == Refusal.UNKNOWN_JSON
