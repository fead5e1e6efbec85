"""Who is announced to this gate: opened with the gate's own key, held in memory only, for the guard to look up.

- On disk it lies sealed, as it was verified, among the documents. It is opened when those change, and at the start.
- It helps a person to fill in a registration. No decision reads it, no event, log line or message bears it: whoever
  asks on the control socket hears it.
- Whose time is over by validity time is forgotten. If somebody is announced for longer ahead than may be, nobody of
  that file is told.
- A file that is not for this gate, or is none, leaves nobody; `trouble` says why. Nothing else depends on it.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from gated.clock import Timekeeper
from gated.lists import trust_folder
from gated.logs import FilteringBoundLogger
from gated.talking.keys import Keys
from protocol.expected import ExpectedError, Visitor, refuse_ahead, unseal
from protocol.repository import EXPECTED, FILE_OF

TOLD_MAX: Final = 100
"""So many are told at once; a guard who sees more types more of a name."""
_BETWEEN: Final = re.compile(r"[\s·.-]")


class ExpectedVisitors:
    """The visitors of one gate. `refresh` it when the verified documents have changed.

    `vouched` is when the center last signed (POSIX s), None if that is not known.
    """

    def __init__(
        self,
        state: Path,
        keys: Keys,
        keeper: Timekeeper,
        vouched: Callable[[], float | None],
        log: FilteringBoundLogger,
    ) -> None:
        self._state = state
        self._keys = keys
        self._keeper = keeper
        self._vouched = vouched
        self._log = log
        self._held: tuple[Visitor, ...] = ()
        self._unreadable = ""

    @property
    def trouble(self) -> str:
        """Why nobody is told; "" while all is well."""
        why = self._unreadable or self._too_far()
        return f"the announced visitors are not taken: {why}" if why else ""

    @property
    def count(self) -> int:
        """How many are announced and not over."""
        return len(self._current())

    def refresh(self) -> None:
        """Open what the documents in force have."""
        self._held, before = (), self.trouble
        self._unreadable = ""
        try:
            sealed = trust_folder.documents(self._state).get(FILE_OF[EXPECTED])
            if sealed is not None:
                self._held = unseal(sealed, self._keys.site, self._keys.gate, self._keys.seal)
        except (OSError, ExpectedError) as error:
            self._unreadable = str(error)
        if self.trouble and self.trouble != before:
            self._log.error("expected.refused", why=self.trouble)

    def forget(self) -> None:
        """Let go of those whose time is over."""
        validity = self._keeper.now().validity
        self._held = tuple(one for one in self._held if validity < one.until_s)

    def find(self, text: str) -> dict[str, object]:
        """Those in whose name, plate, note or whom they visit the text stands, by when they begin.

        `more` is how many were left out.
        """
        wanted = _folded(text)
        found = sorted(
            (one for one in self._current() if any(wanted in _folded(part) for part in _said(one))),
            key=lambda one: (one.begins_s, one.name),
        )
        told = [_told(one) for one in found[:TOLD_MAX]]
        return {"visitors": told, "more": len(found) - len(told), "trouble": self.trouble}

    def _current(self) -> tuple[Visitor, ...]:
        self.forget()
        return () if self._too_far() else self._held

    def _too_far(self) -> str:
        try:
            refuse_ahead(self._held, max(self._keeper.now().validity, self._vouched() or 0.0))
        except ExpectedError as error:
            return str(error)
        return ""


def _told(one: Visitor) -> Mapping[str, object]:
    return one.model_dump(mode="json", exclude={"id"})


def _said(one: Visitor) -> tuple[str, ...]:
    return one.name, (one.plate or "").removeprefix("plate:"), one.visits, one.note


def _folded(text: str) -> str:
    """As it is compared: however it was typed, with or without what stands between."""
    return _BETWEEN.sub("", unicodedata.normalize("NFKC", text).casefold())
