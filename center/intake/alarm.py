"""An alarm, as judgement gives it: the database knows whether the same one is open already."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that somebody must look at. `kind` is stable, `text` says what and where.

    `times` is how often it was found at once. With `over` nothing is raised: what it stands for has ended.
    """

    kind: str
    text: str
    times: int = 1
    over: bool = False
