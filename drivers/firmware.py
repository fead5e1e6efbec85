"""The firmware that a reader must have at least (`firmware_least`), held against the one that it tells. Pure.

A version is whole numbers with dots between, of which the first counts most: 2.07 is 2.7 and older than 2.10, and 8 is
8.0. A "v" before it says nothing. A family tells it in one `Shape`, and so it is demanded.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, PlainSerializer

_TOLD: Final = r"v?\s*({})(?:[\s(+-].*)?"  # what stands behind a version ("8.2.0-rc.1+git") is not compared


@dataclass(frozen=True, slots=True)
class Shape:
    """How a family writes its versions: the pattern of one, and how to ask for one."""

    pattern: str
    right: str

    def numbers(self, told: str) -> tuple[int, ...] | None:
        """A version as what compares, None where a reader has told something else."""
        found = re.fullmatch(_TOLD.format(self.pattern), told.strip(), re.IGNORECASE | re.ASCII | re.DOTALL)
        if found is None:
            return None
        numbers = [int(number, 16) for number in found[1].split(".")]  # decimal ones keep their order in it
        while numbers and not numbers[-1]:
            numbers.pop()
        return tuple(numbers)


DOTTED: Final = Shape(r"[0-9]{1,9}(?:\.[0-9]{1,9})*", 'numbers with dots between, in quotes, such as "2.10"')
DOTTED_HEX: Final = Shape(
    r"[0-9a-f]{1,8}(?:\.[0-9a-f]{1,8})*", 'numbers or hex digits with dots between, in quotes, such as "1.6"'
)
FOUR_HEX: Final = Shape(r"[0-9a-f]{4}", 'four hex digits, in quotes, such as "0312"')


@dataclass(frozen=True, slots=True)
class Least:
    """The oldest firmware that will do, as it was demanded."""

    text: str
    shape: Shape

    def __post_init__(self) -> None:
        """Raises ValueError, with what would be right, where it is no version of this shape."""
        if not re.fullmatch(f"v?{self.shape.pattern}", self.text, re.IGNORECASE | re.ASCII):
            raise ValueError(f"{self.shape.right} would be right, as gated status shows it")

    def __str__(self) -> str:
        return self.text

    def met(self, told: str) -> bool | None:
        """Whether what a reader tells is as new; None where it tells none, or none of this shape."""
        found, least = self.shape.numbers(told), self.shape.numbers(self.text)
        return None if found is None or least is None else found >= least


def _in(shape: Shape) -> BeforeValidator:
    def read(demanded: Any) -> Least:
        return Least(demanded if isinstance(demanded, str) else "", shape)  # 2.10 without quotes would be 2.1

    return BeforeValidator(read)


_FIELD: Final = Field(description="the oldest firmware that will do, in quotes; an older one is said, and reads on")
_TEXT: Final = PlainSerializer(str, when_used="unless-none")
LeastDotted = Annotated[Least | None, _in(DOTTED), _TEXT, _FIELD]
LeastDottedHex = Annotated[Least | None, _in(DOTTED_HEX), _TEXT, _FIELD]
LeastFourHex = Annotated[Least | None, _in(FOUR_HEX), _TEXT, _FIELD]
