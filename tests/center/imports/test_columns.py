"""Lists in columns as they come: any order, any of the known titles, whatever stands above them."""

from datetime import datetime
from pathlib import Path

import pytest

from center import imports
from center.imports import Answers, EndDate, Kind, Midnight, NameOrder, Note, Reason, Refusal, Skip, Technology, Writing
from protocol.credential import Credential
from tests.center.imports.made import HEX, read, workbook


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test puts its list."""
    return tmp_path / "list.csv"


@pytest.mark.parametrize(
    "text",
    [
        "卡号,姓名\n11223344,甲\n",
        "* Card No. (hex),备注,Name\n11223344,1,甲\n",
        "姓名/Name;卡号/Card\n甲;11223344\n",
        "Name\tCard ID\n甲\t11223344\n",
        "填表说明: 请勿改动,,\n姓名,卡号,备注\n甲,11223344,\n",
        "卡号\n11223344\n",
        "ＩＣ卡号，备注\n".replace("，", ",") + "11223344,\n",
        '"卡\n号","姓名"\r\n"11223344","甲"\r\n'.replace("卡\n号", "卡号"),
    ],
)
def test_titles_are_known_by_their_names(path: Path, text: str) -> None:
    """Not by their place: versions of one system differ in the order of their columns."""
    assert [row.credentials for row in read(path, text).rows] == [("uid:11223344",)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Refusal.EMPTY),
        ("\n \n", Refusal.EMPTY),
        ("卡号,卡号\n1,2\n", Refusal.TWO_COLUMNS),
        ("Card Number,From,To,East,East\n1,2026-01-01,2026-12-31,Y,N\n", Refusal.TWO_COLUMNS),
        ("姓名,工号\n甲,1\n", Refusal.NO_CREDENTIAL),
        ("Person ID,Name,Department,Time\n'1,甲,1,2026-01-01 08:00:00\n", Refusal.ATTENDANCE),
        ("a,b\nc,d\n", Refusal.NO_HEADER),
        ("hello\nworld\n", Refusal.NO_HEADER),
        ('卡号,姓名\n"11223344,甲\n', Refusal.DAMAGED),
        ('{"list": []}', Refusal.UNKNOWN_JSON),
        ("[1, 2", Refusal.UNKNOWN_JSON),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Refusal.OLD_XLS),
        (b"PK\x03\x04", Refusal.DAMAGED),
        (b"a\0b\0", Refusal.NOT_TEXT),
        (b"\xff\xfea\0\0\0", Refusal.NOT_TEXT),
        (b"\xff\xff\xff", Refusal.ENCODING),
        (workbook([]), Refusal.EMPTY),
        (workbook([["x", "y"], [1, 2]]), Refusal.NO_HEADER),
    ],
)
def test_files_that_are_no_list(path: Path, text: str | bytes, reason: Refusal) -> None:
    """Each is refused as a whole, with a code and with what to do."""
    with pytest.raises(imports.UnreadableList) as refused:
        read(path, text)
    assert refused.value.reason == reason


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is one more file that cannot be read."""
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(imports.UnreadableList) as refused:
            imports.questions(path)
        assert refused.value.reason == Refusal.NOT_OPENED


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_both_byte_orders_of_utf16(path: Path, encoding: str) -> None:
    """The mark says which; the report, too."""
    report = read(path, ("\ufeff卡号\t姓名\r\n11223344\t甲\r\n").encode(encoding))
    assert report.about.encoding == f"utf-16 ({encoding[-2:].upper()} with BOM)"
    assert report.rows[0].credentials == ("uid:11223344",)


def test_a_shifted_row_is_held(path: Path) -> None:
    """A comma without quotes makes a row longer than its titles: whatever stands where is not what it seems."""
    report = read(path, "卡号,姓名\n188,24910,甲\n11223344,乙,\n")
    assert [(problem.row, problem.column, problem.reason) for problem in report.errors] == [
        (2, None, Reason.MORE_CELLS)
    ]
    assert report.rows[1].credentials == ("uid:11223344",)


def test_a_quoted_cell_over_two_lines_is_one_row(path: Path) -> None:
    """Row numbers are those that a spreadsheet shows, blank rows counted."""
    report = read(path, '卡号,备注\n11223344,"a\nb"\n\n55667799,c\n')
    assert [row.number for row in report.rows] == [2, 4]


def test_a_list_without_titles(path: Path) -> None:
    """Cards or plates, one a line; pairs of numbers too."""
    assert read(path, "沪A12345\n沪A12346\n").rows[1].credentials == ("plate:沪A12346",)
    pairs = read(path, "188,24910\n169,35527\n", Answers(cards=Writing.W26_PAIR))
    assert [row.credentials for row in pairs.rows] == [("wiegand:26:188:24910",), ("wiegand:26:169:35527",)]
    assert pairs.about.format == "one value a line, LF, no header"


def test_which_columns_to_take_is_asked(path: Path) -> None:
    """A list with cards and plates may mean either as credentials; a column without any value asks nothing."""
    text = "卡号,车牌,EPC,姓名\n11223344,沪A12345,,甲\n"
    with pytest.raises(imports.Unanswered) as unanswered:
        read(path, text, HEX)
    (question,) = unanswered.value.questions
    assert (question.key, question.several) == ("take", True)
    assert [choice.value for choice in question.choices] == [Kind.CARD, Kind.PLATE]
    report = read(path, text, Answers(take=frozenset({Kind.PLATE})))
    assert report.rows[0].credentials == ("plate:沪A12345",)


def test_an_end_day_counts_as_it_was_answered(path: Path) -> None:
    """Inclusive to its last second; exclusive to the last second of the day before."""
    text = "卡号,开始日期,截止日期\n11223344,2026-01-01,2026-12-31\n"
    for end_date, until in ((EndDate.INCLUSIVE, datetime(2026, 12, 31)), (EndDate.EXCLUSIVE, datetime(2026, 12, 30))):  # noqa: DTZ001 - as a list has it
        (row,) = read(path, text, Answers(cards=Writing.UID_HEX, end_date=end_date)).rows
        assert row.until
        assert row.until.replace(tzinfo=None) == until.replace(hour=23, minute=59, second=59)


def test_an_end_at_midnight_counts_as_it_was_answered(path: Path) -> None:
    """As written, with a warning, or the whole day."""
    text = "卡号,结束时间\n11223344,2026-12-31 0:00\n"
    (row,) = read(path, text, Answers(cards=Writing.UID_HEX, midnight=Midnight.WHOLE_DAY)).rows
    assert row.until
    assert (row.until.hour, row.warnings) == (23, ())
    (row,) = read(path, text, Answers(cards=Writing.UID_HEX, midnight=Midnight.AS_WRITTEN)).rows
    assert row.until
    assert (row.until.hour, row.warnings) == (0, (Note.ENDS_AT_START,))


def test_the_end_of_a_short_year_asks_as_others_do(path: Path) -> None:
    """Whether midnight is the day's beginning or end is asked of every date that the list's reading understands."""
    text = "卡号,结束时间\n11223344,2026-12-31 12:00\n55667799,26/12/31 0:00\n"
    with pytest.raises(imports.Unanswered) as unanswered:
        read(path, text)
    assert [question.key for question in unanswered.value.questions] == ["midnight"]


def test_a_column_of_nothing_but_spoilt_numbers_is_no_empty_one(path: Path) -> None:
    """What a spreadsheet did to a card is told, rather than that there is no card."""
    report = read(path, workbook([["卡号", "姓名"], [1234567890123456, "甲"]]))
    assert [problem.reason for problem in report.errors] == [Reason.OVER_15_DIGITS]


def test_the_cards_of_a_list_that_names_writings(path: Path) -> None:
    """What the cards are is asked, then the byte that prints of such cards lack."""
    text = "卡号,写法\n0012345678,10位十进制\n11111111,\n"
    for answers, key in ((Answers(), "technology"), (Answers(technology=Technology.EM4100), "version_byte")):
        with pytest.raises(imports.Unanswered) as unanswered:
            read(path, text, answers)
        assert [question.key for question in unanswered.value.questions] == [key]
    first, second = read(path, text, Answers(technology=Technology.ISO14443)).rows
    assert first.credentials == ("uid:00BC614E",)
    assert [problem.reason for problem in second.errors] == [Reason.UNKNOWN_WRITING]


def test_no_end_where_others_have_one_is_pointed_out(path: Path) -> None:
    """No end is no limit; that it was forgotten is as likely."""
    text = "卡号,结束时间\n11223344,2026-12-31 12:00\n55667799,\n"
    first, second = read(path, text).rows
    assert (first.warnings, second.until, second.warnings) == ((), None, (Note.NO_END_GIVEN,))


def test_all_that_is_wrong_with_a_row_is_told_at_once(path: Path) -> None:
    """A person mends a row once."""
    report = read(path, "车牌(必填),姓名*,开始时间,结束时间\n,,2026-02-30 1:00,长期\n", Answers())
    assert [(problem.column, problem.reason) for problem in report.errors] == [
        ("车牌(必填)", Reason.REQUIRED_EMPTY),
        ("姓名*", Reason.REQUIRED_EMPTY),
        ("开始时间", Reason.NO_SUCH_DATE),
        ("结束时间", Reason.DATE_UNREADABLE),
    ]


def test_the_order_of_names_is_asked(path: Path) -> None:
    """Two columns make one name, with a space where the writing has spaces."""
    text = "First Name,Last Name,Card\n甲,测试,11223344\nAda,Test,55667799\n"
    for order, names in (
        (NameOrder.LAST_FIRST, ["测试甲", "Test Ada"]),
        (NameOrder.FIRST_LAST, ["甲测试", "Ada Test"]),
    ):
        report = read(path, text, Answers(cards=Writing.UID_HEX, name_order=order))
        assert [row.name for row in report.rows] == names


def test_one_person_twice_is_skipped_and_two_persons_with_one_card_are_held(path: Path) -> None:
    """Identical is what says the same, however it is written; a card of two belongs to neither."""
    report = read(path, "卡号,姓名,工号\nAABBCCDD,甲,1\naa:bb:cc:dd,甲,1\nAABBCCDD,甲,2\n")
    assert [row.skipped for row in report.rows] == [None, Skip.DUPLICATE_ROW, None]
    assert [(problem.row, problem.rows) for problem in report.errors] == [(2, (2, 4)), (4, (2, 4))]


def test_an_access_list_needs_doors_that_say_yes_or_no(path: Path) -> None:
    """A column of rooms beside card, from and to is no door."""
    text = "Card Number,From,To,Room\n11223344,2026-01-01 0:00,2026-12-31 12:00,101\n"
    assert read(path, text).rows[0].doors is None


def test_a_list_of_cars_by_their_group(path: Path) -> None:
    """The group of people of a card list is no allow list, and no block entry passes, as a card or as a car."""
    assert read(path, "卡号,Group\n11223344,Owners\n").rows[0].credentials == ("uid:11223344",)
    for title, allow, block in (("名单类型", "白名单", "黑名单"), ("Group (0 block, 1 allow)", "1", "0")):
        report = read(path, f"卡号,{title}\n11223344,{allow}\n11223345,{block}\n11223346,?\n")
        assert [row.skipped for row in report.rows] == [None, Skip.BLOCKED, None]
        assert [(problem.row, problem.reason) for problem in report.errors] == [(4, Reason.UNKNOWN_GROUP)]
    report = read(path, "车牌,名单类型\n沪A12345,白名单\n沪A12346,黑名单\n沪A12347,\n", Answers())
    assert [row.skipped for row in report.rows] == [None, Skip.BLOCKED, None]
    assert [problem.reason for problem in report.errors] == [Reason.UNKNOWN_GROUP]


def test_the_limit_inside_stays_with_values_settled_by_hand(path: Path) -> None:
    """A plate that a person puts right is still one of those that share a space."""
    text = "车牌号,车位数,一位多车,姓名,开始时间,结束时间\n沪A1234O 沪A00001,1,{},甲,2026-01-01 0:01,2026-12-31 12:00\n"
    both = (Credential("plate:沪A12340"), Credential("plate:沪A00001"))
    answers = Answers(chosen={(2, "车牌号"): both})
    (row,) = read(path, text.format("是"), answers).rows
    assert (row.credentials, row.at_most_inside) == (both, 1)
    (row,) = read(path, text.format("否"), answers).rows
    assert [problem.reason for problem in row.errors] == [Reason.MORE_PLATES]


def test_a_workbook_with_the_list_in_a_later_sheet(path: Path) -> None:
    """The first sheet that has the titles of a list is read, and named."""
    data = workbook([["说明", "x"], [1, 2]], [["姓名", "工号"], ["甲", "1"]], [["姓名", "卡号"], ["甲", "11223344"]])
    report = read(path, data)
    assert report.about.format == "xlsx, sheet 3"
    assert report.rows[0].credentials == ("uid:11223344",)


def test_cells_of_a_workbook_are_what_they_are(path: Path) -> None:
    """Dates, numbers and truths become what a person would have typed, or an error that says so."""
    moment = datetime(2026, 1, 1, 8, 30)  # noqa: DTZ001 - a spreadsheet knows no zones
    data = workbook([["卡号", "姓名", "开始时间"], [11223344, True, moment], [1.5, 2, 46023], [moment, "丙", 1e300]])
    first, second, third = read(path, data, HEX).rows
    assert (first.credentials, first.name) == (("uid:11223344",), "TRUE")
    assert first.begins
    assert first.begins.replace(tzinfo=None) == moment
    assert [problem.reason for problem in second.errors] == [Reason.NOT_A_NUMBER]
    assert [problem.reason for problem in third.errors] == [Reason.DATE_UNREADABLE]


def test_credentials_as_gates_spell_them_need_no_question(path: Path) -> None:
    """Spelled with their scheme they are what they say; a question is asked for the others of the column only."""
    spelled = "card,name\nem:0A00A1B2C3,a\nwiegand:26:213:2000,b\n"
    rows = read(path, spelled, Answers()).rows
    assert [row.credentials for row in rows] == [("em:0A00A1B2C3",), ("wiegand:26:213:2000",)]
    assert imports.questions(path) == ()
    assert read(path, spelled + "em:0a00a1b2c3,c\n").rows[-1].credentials == ()
    assert [question.key for question in imports.questions(path)] == ["cards"]
