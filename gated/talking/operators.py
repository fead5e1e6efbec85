"""Whose commands and whose e-IDs this gate takes: `operators.json` among the verified documents in the state folder.

Where there is none, or one that cannot be read, nobody's: an error is never a yes, and a document that cannot be read
may have been signed to take somebody out.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from gated.lists import trust_folder
from gated.logs import FilteringBoundLogger
from protocol.message import MessageError
from protocol.operators import DOCUMENT, Operator, Registrars, at_gate, registrars

Operators = Callable[[], Mapping[str, Operator]]
"""Whose commands are taken now, by keyid (`protocol.dsse`). Asked for each command, so it must not wait."""


class SignedOperators:
    """The operators of one gate, as the documents in force have them. `refresh` it when those have changed."""

    def __init__(self, state: Path, gate: str, log: FilteringBoundLogger) -> None:
        self._state = state
        self._gate = gate
        self._log = log
        self._held: Mapping[str, Operator] = {}
        self.registrars = Registrars()
        """Whose e-IDs count now; replaced as a whole, so that any thread may read it."""

    def __call__(self) -> Mapping[str, Operator]:
        """Whose commands are taken now."""
        return self._held

    def refresh(self) -> None:
        """Read the documents in force."""
        held: Mapping[str, Operator] = {}
        found = Registrars()
        try:
            document = trust_folder.documents(self._state).get(DOCUMENT)
            if document is not None:
                held, found = at_gate(document, self._gate), registrars(document)
        except (OSError, MessageError) as error:
            self._log.error("operators.unreadable", why=str(error), effect="no command and no e-ID is taken")
        self._held, self.registrars = held, found
