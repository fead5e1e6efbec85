"""An act: what a lane wants done. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from gated.lanes.presence import Presence
from protocol.event import Kind


@dataclass(frozen=True, slots=True)
class Act:
    """Something to write down; with `opens` the barrier opens once it is written.

    `exempt` are people's and vehicles' exits, which open even while nothing can be written. `of` is the presence
    that it is about, None for what no tag has caused.
    """

    kind: Kind
    fields: Mapping[str, object]
    opens: bool = False
    exempt: bool = False
    of: Presence | None = None
