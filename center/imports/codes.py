"""What a report says of a row or a file, as codes that pages and command lines put into words.

- A `Skip` says why the source itself grants nothing.
- A `Refusal` is of the whole file.
- `Reason` and `Note`, which are of one value, are `protocol.written`'s.
"""

from enum import StrEnum


class Skip(StrEnum):
    """Why the source itself grants nothing."""

    NO_CARD = "no_card"
    NO_DOOR = "no_door_allowed"
    DISABLED = "disabled_in_source"
    BLOCKED = "block_list_entry"
    EXPIRED = "expired"
    DUPLICATE_ROW = "duplicate_row"


class Refusal(StrEnum):
    """Why nothing at all was read from a file."""

    NOT_OPENED = "file_cannot_be_opened"
    TOO_LARGE = "file_too_large"
    EMPTY = "file_empty"
    ENCODING = "encoding_unknown"
    NOT_TEXT = "not_a_list"
    OLD_XLS = "old_xls_save_as_xlsx"
    DAMAGED = "file_damaged"
    NO_HEADER = "no_header_found"
    TWO_COLUMNS = "two_columns_of_one_meaning"
    NO_CREDENTIAL = "no_column_of_cards_or_plates"
    ATTENDANCE = "attendance_log_not_a_list"
    UNKNOWN_JSON = "json_not_understood"
