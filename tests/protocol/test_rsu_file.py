"""A region's field tables as a file."""

import re
from pathlib import Path

import pytest

from protocol.rsu import Framing
from protocol.rsu_file import TablesError, tables
from protocol.rsu_tables import BEIJING

PAGE = (Path(__file__).parents[2] / "docs" / "hardware" / "rsu.md").read_text(encoding="utf-8")
EXAMPLE = re.sub(r" +#.*", "", re.findall(r"(?s)```toml\n(framing.*?)```", PAGE)[0])


def test_the_example_is_the_built_in_table() -> None:
    """What the page on hardware shows, read, is Beijing's."""
    assert tables("beijing", EXAMPLE) == BEIJING


def test_without_an_error_code() -> None:
    """-1 means that there is none."""
    text = EXAMPLE.replace('framing = "bcc"', 'framing = "park"').replace("error = 4", "error = -1")
    made = tables("own", text)
    assert (made.framing, made.frames[0].error) == (Framing.PARK, None)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("framing", "framing =", "it is no TOML"),
        ('framing = "bcc"', 'framing = "ff"', "framing: Input should be 'bcc', 'crc16' or 'park'"),
        ("wait = 2", "wiat = 2", "wiat: there is no such key"),
        ("plate = 5", "plate = 10", r"frames\[1\] \(B3, 21 bytes\): its fields end at byte 22"),
        ('command = "B3"\nlength = 21', 'command = "B2"\nlength = 32', r"\(B2, 32 bytes\) stands there twice"),
        ('command = "B3"', 'command = "B5"', r"frames\[1\].command: Input should be 'B2', 'B3' or 'B4'"),
        ('"obu 01"', '"obuid 01"', "'obuid' is no part of command C2: obu, time or bytes in hex would be right"),
        ('resume = "obu factor"', "", "resume: is missing"),
        ('switch = "C4"', 'switch = "C6"', "switch: Input should be 'C4' or '4C'"),
        ("wait = 2", "wait = " + "[" * 5000, "it is (nested too deeply|no TOML)"),
        ("wait = 2", "wait = " + "9" * 5000, "it is no TOML"),
    ],
)
def test_what_is_wrong_is_said(old: str, new: str, said: str) -> None:
    """Where, and what would be right."""
    assert old in EXAMPLE
    with pytest.raises(TablesError, match=said):
        tables("own", EXAMPLE.replace(old, new, 1))
