"""Card numbers: one card, many writings; the right one is asked for, or proved by a card at a reader."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from center import imports
from center.imports import Reason, Technology, Writing
from center.imports.writings import fits, row_writing
from protocol.card_number import LOSSY, read_card
from protocol.credential import Credential, canonical
from tests.center.imports.samples import FOLDER, TODAY, ZONE


@pytest.mark.parametrize(
    ("text", "writing", "credential"),
    [
        ("0A004D7603", Writing.EM_HEX10, "em:0A004D7603"),
        ("0042954749443", Writing.EM_DEC13, "em:0A004D7603"),
        ("0013961168", Writing.EM_DEC10, "em:0A00D507D0"),
        ("03407871", Writing.W26_DEC, "wiegand:26:51:65535"),
        ("213,02000", Writing.W26_PAIR, "wiegand:26:213:2000"),
        ("213 02000", Writing.W26_PAIR, "wiegand:26:213:2000"),
        ("213/2000", Writing.W26_PAIR, "wiegand:26:213:2000"),
        ("06213878", Writing.W26_JOINED, "wiegand:26:62:13878"),
        ("33FFFF", Writing.W26_HEX6, "wiegand:26:51:65535"),
        ("21811,65535", Writing.W34_PAIR, "wiegand:34:21811:65535"),
        ("5533FFFF", Writing.W34_HEX8, "wiegand:34:21811:65535"),
        ("0B3E3636", Writing.EM_HEX8_TURNED, "em:0A36363E0B"),
        ("0909524491", Writing.EM_DEC10, "em:0A36363E0B"),
        ("0287454020", Writing.UID_DEC, "uid:11223344"),
        ("3536403172", Writing.UID_DEC_TURNED, "uid:E43AC9D2"),
        ("04C43BC21C2680", Writing.UID_HEX, "uid:04C43BC21C2680"),
        ("0013961168", Writing.W26_LOW, "wiegand:26:213:2000"),
        ("３４０７８７１", Writing.W26_DEC, "wiegand:26:51:65535"),
        ("'0287454020", Writing.UID_DEC, "uid:11223344"),
        (287454020, Writing.UID_DEC, "uid:11223344"),
        ("3000E2801160600002000000ABCF", Writing.EPC_WITH_WORD, "epc:E2801160600002000000ABCF"),
    ],
)
def test_each_writing_of_a_card(text: str | int, writing: Writing, credential: str) -> None:
    """Examples that makers and integrators give."""
    assert read_card(text, writing, "0A").credential == credential


@pytest.mark.parametrize(
    ("text", "writing", "reason", "candidates"),
    [
        ("256,1", Writing.W26_PAIR, Reason.FACILITY_CODE_OVER_255, ("wiegand:34:256:1",)),
        ("1,65536", Writing.W26_PAIR, Reason.CARD_NUMBER_OVER_65535, ()),
        ("188,24910", Writing.W26_DEC, Reason.NOT_A_NUMBER, ("wiegand:26:188:24910",)),
        ("062 13878", Writing.W26_DEC, Reason.NOT_A_NUMBER, ("wiegand:26:62:13878",)),
        ("4294967296", Writing.EM_DEC10, Reason.OVER_32_BITS, ()),
        ("1099511627776", Writing.EM_DEC13, Reason.OVER_40_BITS, ()),
        ("9" * 5000, Writing.EM_DEC13, Reason.OVER_40_BITS, ()),
        ("1.23E+09", Writing.UID_HEX, Reason.DIGITS_LOST, ()),
        ("112233O4", Writing.UID_HEX, Reason.NOT_HEX, ("11223304",)),
        ("1122334455", Writing.UID_HEX, Reason.WRONG_LENGTH, ()),
        ("1234", Writing.UID_HEX, Reason.TOO_SHORT, ()),
        ("44332288", Writing.UID_HEX, Reason.UID_CUT_REVERSED, ("7-byte uid starting 223344",)),
        ("#N/A", Writing.UID_HEX, Reason.EXCEL_ERROR, ()),
        ("########", Writing.UID_HEX, Reason.EXCEL_ERROR, ()),
        (123.5, Writing.UID_DEC, Reason.NOT_A_NUMBER, ()),
        (float("nan"), Writing.UID_DEC, Reason.OVER_15_DIGITS, ()),
        ("", Writing.EPC, Reason.NOT_HEX, ()),
        ("E280" * 32, Writing.EPC, Reason.WRONG_LENGTH, ()),
        ("E2801160", Writing.EPC_WITH_WORD, Reason.EPC_PROTOCOL_WORD, ("epc:E2801160",)),
        ("213.02000", Writing.W26_PAIR, Reason.NOT_A_NUMBER, ()),
        ("70000,1", Writing.W34_PAIR, Reason.OVER_32_BITS, ()),
    ],
)
def test_what_is_wrong_with_a_number(
    text: str | float, writing: Writing, reason: Reason, candidates: tuple[str, ...]
) -> None:
    """Each fault has its name, and the candidates are what it can have been."""
    reading = read_card(text, writing, "0A")
    assert reading.credential is None
    assert reading.trouble
    assert (reading.trouble.reason, reading.trouble.candidates) == (reason, candidates)


@given(st.sampled_from(Writing), st.one_of(st.text(max_size=30), st.integers(), st.floats()))
def test_whatever_is_written_is_canonical_or_in_trouble(writing: Writing, cell: str | float) -> None:
    """A reading is a credential or a trouble, never both, never neither, and a credential is canonical."""
    reading = read_card(cell, writing, "0A")
    assert (reading.credential is None) != (reading.trouble is None)
    if reading.credential:
        assert canonical(reading.credential) == reading.credential


@given(st.binary(min_size=4, max_size=4), st.sampled_from(["dec", "hex"]), st.booleans())
def test_the_card_at_the_reader_finds_the_writing(uid: bytes, digits: str, turned: bool) -> None:  # noqa: FBT001 - drawn
    """However a UID is written on the list, the one read from its card says how; a number alone does not."""
    written = uid[::-1] if turned else uid
    text = written.hex().upper() if digits == "hex" else f"{int.from_bytes(written, 'big'):010}"
    writing = Writing(f"uid-{digits}-turned" if turned else f"uid-{digits}")
    found = [found.writing for found in fits([([text], Credential(f"uid:{uid.hex().upper()}"))])]
    whole = uid[0] not in {0x08, 0x88} and uid[-1] != 0x88
    assert (writing in found) == whole
    assert len(found) <= 2 or uid == uid[::-1]


def test_the_version_byte_comes_with_the_card() -> None:
    """A print of ten digits lacks the first byte; the card that was read has it."""
    found = imports.fitting(FOLDER / "16-cards-by-convention.csv", {6: Credential("em:0A499602D2")})
    assert found == (imports.Found(Writing.EM_HEX8, "0A"),)
    assert imports.fitting(FOLDER / "03-zk-user72.dat", {2: Credential("em:0A075BCD15")}) == (
        imports.Found(Writing.EM_DEC10, "0A"),
    )


def test_readers_that_pass_on_24_bits_are_found_too() -> None:
    """The list has 32 bits, the reader 24: only a card can prove that, and no question offers it."""
    path = FOLDER / "03-zk-user72.dat"
    found = imports.fitting(path, {2: Credential("wiegand:26:91:52501")})
    assert [one.writing for one in found] == [Writing.W26_LOW]
    offered = {choice.value for question in imports.questions(path) for choice in question.choices}
    assert offered
    assert not offered & LOSSY


def test_one_of_several_cards_in_a_cell() -> None:
    """A holder with two cards holds either to the reader."""
    path = FOLDER / "08-hikcentral-persons.xlsx"
    found = imports.fitting(path, {6: Credential("uid:AABBCCDD"), 8: Credential("uid:44332211")})
    assert [one.writing for one in found] == [Writing.UID_DEC]
    assert imports.fitting(path, {6: Credential("uid:AABBCCDD"), 8: Credential("uid:11223344")}) == ()


def test_a_row_without_a_card_proves_nothing() -> None:
    """It is told, rather than that no writing fits."""
    with pytest.raises(imports.BadAnswer, match="row 12"):
        imports.fitting(FOLDER / "08-hikcentral-persons.xlsx", {12: Credential("uid:11223344")})


def test_a_card_that_reads_the_same_both_ways_settles_half() -> None:
    """Two writings fit: then one more card is needed."""
    both = (imports.Found(Writing.UID_HEX, None), imports.Found(Writing.UID_HEX_TURNED, None))
    assert fits([(["21212121"], Credential("uid:21212121"))]) == both
    assert fits([(["21212121"], Credential("uid:21212121")), (["11223344"], Credential("uid:44332211"))]) == both[1:]
    assert fits([]) == ()


def test_choices_show_what_the_column_would_become() -> None:
    """The question names candidates with the first value under each, and only those that read any."""
    (question,) = imports.questions(FOLDER / "06-zk-personnel.csv")
    assert (question.key, question.column) == ("cards", "卡号")
    shown = {choice.value: (choice.row, choice.written, choice.becomes) for choice in question.choices}
    assert shown["w26-dec"] == (2, "0012345678", "wiegand:26:188:24910")
    assert shown["em-dec10"] == (2, "0012345678", "em:??00BC614E")
    assert question.choices[0].reads == max(choice.reads or 0 for choice in question.choices)
    assert "w34-pair" not in shown


def test_some_questions_come_with_an_answer() -> None:
    """The byte that EM4100 prints lack is asked for once it is known that they are such."""
    path = FOLDER / "06-zk-personnel.csv"
    (question,) = imports.questions(path, imports.Answers(cards=Writing.EM_DEC10))
    assert (question.key, question.choices) == ("version_byte", ())


def test_the_writing_named_row_by_row() -> None:
    """The same words mean another card where the cards are another technology; other words mean none."""
    assert row_writing("8位十六进制 反序", Technology.EM4100) is Writing.EM_HEX8_TURNED
    assert row_writing("8位十六进制反序", Technology.ISO14443) is Writing.UID_HEX_TURNED
    assert row_writing("8位", Technology.ISO14443) is Reason.AMBIGUOUS_8_DIGITS
    assert row_writing("?", Technology.ISO14443) is Reason.UNKNOWN_WRITING


def test_answers_as_a_form_has_them() -> None:
    """Each key is a question's, each value one of its choices, several of them parted by commas."""
    answers = imports.answers_from(
        {"cards": "em-dec10", "version_byte": " 0a", "take": "card, plate", "readers": "uid"}
    )
    assert answers == imports.Answers(
        cards=Writing.EM_DEC10,
        version_byte="0A",
        take=frozenset({imports.Kind.CARD, imports.Kind.PLATE}),
        readers=frozenset({imports.UidReader.UID}),
    )


@pytest.mark.parametrize("values", [{"cards": "hex"}, {"version_byte": "0"}, {"colour": "red"}, {"take": "card,dog"}])
def test_an_answer_that_is_none(values: dict[str, str]) -> None:
    """It is refused with what would be right."""
    with pytest.raises(imports.BadAnswer):
        imports.answers_from(values)


def test_a_value_can_be_settled_by_itself(tmp_path: Path) -> None:
    """A person picks a candidate, or a card is read: the row is taken as if the list had said so."""
    path = tmp_path / "list.csv"
    path.write_text("姓名,卡号\n测试甲,1122334\n测试乙,11223344\n", encoding="utf-8")
    answers = imports.Answers(cards=Writing.UID_HEX, chosen={(2, "卡号"): (Credential("uid:01122334"),)})
    report = imports.read(path, answers=answers, today=TODAY, zone=ZONE)
    assert [row.credentials for row in report.rows] == [("uid:01122334",), ("uid:11223344",)]
    answers = imports.Answers(cards=Writing.UID_HEX, chosen={(2, "卡号"): (Credential("uid:11223344"),)})
    report = imports.read(path, answers=answers, today=TODAY, zone=ZONE)
    assert [problem.reason for problem in report.errors] == [Reason.DUPLICATE, Reason.DUPLICATE]
