"""Figures: what the post has done since its start, for whoever asks how it fares."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

RECENT: Final = 20
LATENCIES: Final = 1000


@dataclass(slots=True)
class Figures:
    """Passages by verdict, how long the newest took from seen to open (s), and the newest themselves."""

    passages: int = 0
    admitted: int = 0
    flagged: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES))
    recent: deque[dict[str, object]] = field(default_factory=lambda: deque(maxlen=RECENT))

    def count(self, passage: Mapping[str, object], seq: int | None, at: str, *, admitted: bool, took: float) -> None:
        """Take one passage more. One that takes the place of another was counted with that."""
        self.recent.append({"seq": seq, "at": at, **passage})
        if "instead" in passage:
            return
        self.passages += 1
        self.admitted += admitted
        self.flagged += not admitted
        if admitted:
            self.latencies.append(took)
