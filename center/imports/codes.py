"""What a report says of a value or a row, as codes that pages and command lines put into words.

- A `Reason` holds something back: in a card or a plate that one value, in a date, a door or a required cell the row.
- A `Skip` says why the source itself grants nothing.
- A `Note` never stops a row. Two of them name another row behind them: `reverse_of_row_8`.
- A `Refusal` is of the whole file.
"""

from enum import StrEnum


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


class Skip(StrEnum):
    """Why the source itself grants nothing."""

    NO_CARD = "no_card"
    NO_DOOR = "no_door_allowed"
    DISABLED = "disabled_in_source"
    BLOCKED = "block_list_entry"
    EXPIRED = "expired"
    DUPLICATE_ROW = "duplicate_row"


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
