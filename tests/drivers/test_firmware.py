"""Versions of firmware: what counts as one, and which of two is older."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from drivers.firmware import DOTTED, DOTTED_HEX, FOUR_HEX, Least, LeastDotted, Shape
from drivers.registry import Role, driver

NUMBERS = st.lists(st.integers(0, 999_999_999), min_size=1, max_size=5)
FAMILIES = {
    "uhf18": ("socket://10.0.0.1:6000", "5.2"),
    "m100": ("/dev/gate/a", "V2.3.5"),
    "llrp": ("socket://10.0.0.1:5084", "8.2.1"),
    "osdp": ("/dev/gate/a", "2.1.0"),
    "nfc": ("usb:072f:2200", "2.07"),
    "rsu": ("socket://10.0.0.1:60001", "0312"),
}


class Options(BaseModel):
    """Of a reader."""

    firmware_least: LeastDotted = None


def written(numbers: list[int], shape: Shape = DOTTED) -> str:
    """A version as a reader writes it."""
    return ".".join(f"{number:x}" if shape is DOTTED_HEX else str(number) for number in numbers)


def padded(numbers: list[int]) -> list[int]:
    """With all the zeros that may be left out."""
    return numbers + [0] * (5 - len(numbers))


@given(NUMBERS, NUMBERS, st.sampled_from([DOTTED, DOTTED_HEX]))
def test_which_is_older(told: list[int], least: list[int], shape: Shape) -> None:
    """Number by number, the first first; what is left out is 0."""
    demanded = Least(written(least, shape), shape)
    assert demanded.met(written(told, shape)) is (padded(told) >= padded(least))


@given(NUMBERS, st.sampled_from(["", "v", "V"]), st.sampled_from(["", " build 7", "-rc2", "\tx"]), st.integers(0, 2))
def test_how_it_is_written(numbers: list[int], before: str, behind: str, zeros: int) -> None:
    """A "v" before it, zeros before a number, and what stands behind it say nothing."""
    told = ".".join("0" * (zeros if number < 9_999_999 else 0) + str(number) for number in numbers)
    demanded = Least(written(numbers), DOTTED)
    assert demanded.met(f"{before}{told}{behind}") is True
    newer = Least(written([*numbers[:-1], numbers[-1] + 1]), DOTTED) if numbers[-1] < 999_999_999 else None
    assert newer is None or newer.met(f"{before}{told}{behind}") is False


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_four_hex_digits(told: int, least: int) -> None:
    """One number, in small letters or capitals."""
    assert Least(f"{least:04X}", FOUR_HEX).met(f"{told:04x}") is (told >= least)


@given(st.text(), st.sampled_from([DOTTED, DOTTED_HEX, FOUR_HEX]))
def test_whatever_a_reader_tells(told: str, shape: Shape) -> None:
    """Nothing raises, and what cannot be compared is not compared; what is taken as a bound is as new as itself."""
    assert Least("0000", shape).met(told) in (True, None)
    try:
        demanded = Least(told, shape)
    except ValueError as error:
        assert "would be right" in str(error)  # noqa: PT017 - most are none
    else:
        assert demanded.met(told) is True


@pytest.mark.parametrize(
    ("told", "least", "met"),
    [
        ("v1.07", "1.7", True),
        ("V1.07", "1.10", False),
        ("8", "8.0", True),
        ("10.3.0+git.1a2b", "10.4", False),
        ("8.2.1", "8.2.1.0", True),
        ("5.12.2.240", "7.0", False),
        ("2.3.5b", "2.3.5", None),
        ("V1_07", "1.0", None),
        ("SAAFKS00-013-R05", "1.0", None),
        ("", "1.0", None),
    ],
)
def test_versions(told: str, least: str, *, met: bool | None) -> None:
    """As readers tell them."""
    assert Least(least, DOTTED).met(told) is met


@pytest.mark.parametrize(
    "bound", ["", "new", "1.", ".1", "1..2", "8.x", ">= 8", "1.0 or newer", "9" * 5000, 8.0, 8, ["8"]]
)
def test_no_bound(bound: Any) -> None:
    """It is refused with what would be right: a number, too, of which 2.10 would be 2.1."""
    with pytest.raises(ValidationError, match="numbers with dots between, in quotes"):
        Options(firmware_least=bound)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family(family: str) -> None:
    """That tells its firmware takes a bound in the form in which it tells it, and gives it back as it was written."""
    port, told = FAMILIES[family]
    table = {"port": port, "firmware_least": told} | ({"insecure": True} if family == "osdp" else {})
    options = driver(family, Role.READER).options.model_validate(table)
    least: Least = options.firmware_least  # type: ignore[attr-defined]
    assert least.met(told) is True
    assert options.model_dump(mode="json")["firmware_least"] == told
