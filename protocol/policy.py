"""policy.json: what the committee has decided about hours and repeats. Signed as a target of the repository.

    {"schedules":{"workdays":["Mon-Fri 06:00-22:00"]},"holidays":["2026-10-01"],"lanes":{"walk-in":{"repeat":60}}}

Hours are lines as the gate's configuration has them (docs/configuration.md). What is named here wins over what a
gate's own configuration says; what is not, is as the gate has it.
"""

from datetime import date
from typing import Annotated, Final

from pydantic import Field

from protocol.message import Message, Name, Text

DOCUMENT: Final = "policy.json"
_SCHEDULES_MAX: Final = 200
Lines = Annotated[tuple[Text, ...], Field(max_length=100)]


class LanePolicy(Message):
    """What holds at the lanes of one name."""

    repeat: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] | None = None
    """Within how many seconds an admitted credential is flagged at another lane of the same direction."""


class PolicyDocument(Message):
    """The document."""

    schedules: dict[Name, Lines] = Field(default_factory=dict, max_length=_SCHEDULES_MAX)
    """Hours by name, which the whitelist's `when` refers to."""
    holidays: Annotated[tuple[date, ...], Field(max_length=1000)] | None = None
    """The days that count as holidays; left out, they are as the gate has them."""
    lanes: dict[Name, LanePolicy] = Field(default_factory=dict, max_length=_SCHEDULES_MAX)
    """By the lanes' names."""
