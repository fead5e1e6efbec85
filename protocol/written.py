"""A value as somebody wrote it, in a cell or by hand, and what reading it gives: a credential, or the trouble with it.

- A `Reason` holds something back: in a card or a plate that one value, in a date, a door or a required cell the row.
- A `Note` stops nothing. Two of them name another row behind them: `reverse_of_row_8`.
- Text is folded from full width, and freed of `="…"` and a leading `'`, by which office programs say "this is text".
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from protocol.credential import Credential

Cell = str | int | float | datetime
"""A value as the source holds it; an empty cell is ""."""

NUMBER_DIGITS_MAX: Final = 15
"""Excel keeps 15 significant digits of a number and makes the others 0 (support.sas.com/kb/34242)."""

_FULLWIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_FORMULA: Final = re.compile(r'="([^"]*)"')
_EXCEL_ERROR: Final = re.compile(r"#(?:N/A|REF!|VALUE!|NAME\?|DIV/0!|NULL!|NUM!|SPILL!|CALC!|#+)")
_MEANT: Final = str.maketrans({"O": "0", "o": "0", "I": "1", "l": "1"})


class Reason(StrEnum):
    """Why a value or a row was not taken."""

    NOT_A_NUMBER = "not_a_number"
    NOT_HEX = "not_hex"
    OVER_24_BITS = "over_24_bits"
    OVER_32_BITS = "over_32_bits"
    OVER_40_BITS = "over_40_bits"
    FACILITY_CODE_OVER_255 = "facility_code_over_255"
    CARD_NUMBER_OVER_65535 = "card_number_over_65535"
    DIGITS_LOST = "scientific_notation_digits_lost"
    OVER_15_DIGITS = "number_over_15_digits"
    AMBIGUOUS_8_DIGITS = "ambiguous_8_digits"
    HEX_OR_DECIMAL = "hex_or_decimal"
    ODD_HEX = "odd_number_of_hex_digits"
    WRONG_LENGTH = "wrong_number_of_digits"
    UNKNOWN_WRITING = "unknown_writing"
    UID_CUT = "uid_cut_from_7_bytes"
    UID_CUT_REVERSED = "uid_cut_from_7_bytes_and_reversed"
    RANDOM_UID = "random_uid"
    TOO_SHORT = "too_short_may_be_a_pin_code"
    EPC_WORDS = "epc_not_whole_words"
    EPC_PROTOCOL_WORD = "epc_with_protocol_word"
    DUPLICATE = "duplicate_credential"

    PLATE_O_OR_I = "plate_letter_O_or_I"
    PLATE_LENGTH = "plate_length"
    PLATE_NO_PROVINCE = "plate_without_province"
    PLATE_UNKNOWN_PROVINCE = "plate_unknown_province"
    PLATE_SUFFIX = "plate_suffix_of_other_system"
    PLATE_NOT_UNDERSTOOD = "plate_not_understood"
    MORE_PLATES = "more_plates_than_spaces"

    UNTIL_BEFORE_FROM = "until_before_from"
    DATE_AMBIGUOUS = "date_ambiguous"
    DATE_UNREADABLE = "date_unreadable"
    NO_SUCH_DATE = "no_such_date"
    REQUIRED_EMPTY = "required_empty"
    UNKNOWN_GROUP = "unknown_list_group"
    DOOR_VALUE = "door_value_not_Y_N_or_2_to_254"
    NUMBER_CELL = "number_cell_in_text_column"
    EXCEL_ERROR = "cell_holds_an_excel_error"
    NOT_JSON = "line_is_not_json"
    MORE_CELLS = "more_cells_than_titles"


class Note(StrEnum):
    """What a person should know of a row that is taken all the same."""

    CASE = "case_normalised"
    FULLWIDTH = "fullwidth_normalised"
    SEPARATOR = "separator_removed"
    PREFIX = "prefix_removed"
    FORMULA = "excel_text_formula_removed"
    NUMBER_CELL = "number_cell_in_text_column"
    ZEROS = "zeros_restored"
    SAME_WIEGAND26 = "same_wiegand26_as_row_"
    REVERSE = "reverse_of_row_"
    PROFILE = "time_profile_needs_mapping"
    PIN = "pin_not_imported"
    PIN_TOO_LARGE = "pin_over_999999"
    PASSWORD = "password_not_imported"  # noqa: S105 - a code, and no password
    ADMIN = "device_admin_right_not_imported"
    NAME_CUT = "name_cut_by_source"
    NAME_UNREADABLE = "name_unreadable"
    NO_OWNER = "no_owner"
    PERSON_ZEROS_LOST = "person_number_zeros_lost"
    ID_UNREADABLE = "id_number_unreadable"
    PHONE = "phone_not_a_mobile_number"
    OTHER_DATE_FORMAT = "date_not_in_this_systems_format"
    SERIAL_DATE = "excel_serial_date"
    TWO_DIGIT_YEAR = "two_digit_year"
    NO_END = "looks_like_no_end"
    NO_END_GIVEN = "no_end_given"
    ENDS_AT_START = "ends_at_start_of_day"
    STARTS_LATER = "starts_later"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a value cannot be taken, and what it may have been meant to be."""

    reason: Reason
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What one written value says: a credential, or the trouble with it."""

    credential: Credential | None = None
    trouble: Trouble | None = None
    notes: tuple[Note, ...] = ()


class Cleaned(NamedTuple):
    """The text of a cell and what was done to get it, or the trouble with it."""

    text: str
    notes: tuple[Note, ...] = ()
    trouble: Trouble | None = None


def fold(text: str) -> str:
    """`text` with its full-width letters, digits and signs as plain ones."""
    return text.translate(_FULLWIDTH)


def clean(cell: Cell) -> Cleaned:
    """What a person meant to write into a cell of text."""
    if isinstance(cell, datetime):
        return Cleaned("", trouble=Trouble(Reason.NOT_A_NUMBER))
    if not isinstance(cell, str):
        return _number(cell)
    text, notes = cell.strip(), list[Note]()
    if _EXCEL_ERROR.fullmatch(text):
        return Cleaned(text, trouble=Trouble(Reason.EXCEL_ERROR))
    if formula := _FORMULA.fullmatch(text):
        text = formula[1].strip()
        notes.append(Note.FORMULA)
    if text.startswith("'"):
        text = text[1:].strip()
        notes.append(Note.PREFIX)
    if (folded := fold(text)) != text:
        text = folded.strip()
        notes.append(Note.FULLWIDTH)
    return Cleaned(text, tuple(notes))


def _number(value: float) -> Cleaned:
    notes = (Note.NUMBER_CELL,)
    if not abs(value) < 10**NUMBER_DIGITS_MAX:
        return Cleaned("", notes, Trouble(Reason.OVER_15_DIGITS))
    if value != int(value):
        return Cleaned("", notes, Trouble(Reason.NOT_A_NUMBER))
    return Cleaned(str(int(value)), notes)


def meant(text: str) -> str:
    """`text` with the letters that are taken for digits as these digits."""
    return text.translate(_MEANT)
