"""Keys as the signers list them (`protocol.gates`): whom this gate believes, and whether it is known by its own.

- Before there is a list, the center's keys are those of the enrolment file; then those of the list. They are read from
  the verified documents in the state folder, so that after a restart the same ones hold.
- An enrolment file that was made after the list is newer than it: its keys hold, until there is a list that is newer.
- A list with other keys for this gate is no reason to stop: the gate decides and records, and somebody is told.
- A list that cannot be read changes nothing. A gate that starts with one believes nobody until it is fetched again: an
  error is never a yes, and what the center does not answer for is kept.
"""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gated.lists import trust_folder
from gated.logs import FilteringBoundLogger
from gated.talking.keys import Keys
from protocol.gates import DOCUMENT, parse
from protocol.message import MessageError
from protocol.signature import public_key


@dataclass(frozen=True, slots=True)
class Listed:
    """What holds now; `trouble` is "" while nothing is wrong."""

    center: tuple[Ed25519PublicKey, ...]
    """The center's keys: what it says is signed by one of them."""
    known: bool
    """Whether this gate is listed with its own keys."""
    trouble: str = ""


def read(state: Path, own: Keys) -> Listed:
    """What the list in the state folder says to the gate with these keys. Raises OSError, MessageError."""
    return _judged(trust_folder.documents(state).get(DOCUMENT), own)


def _judged(data: bytes | None, own: Keys) -> Listed:
    document = None if data is None else parse(data)
    if document is None or not document.tells_of(own.issued):
        return Listed(own.center, known=False)
    center = tuple(public_key(bytes.fromhex(key)) for key in document.center)
    mine = document.by_name.get(own.gate)
    known = mine is not None and (mine.key, mine.seal) == (own.sign_public.hex(), own.seal_public.hex())
    other = mine is not None and not known
    return Listed(center, known, _other(own.gate) if other else "")


class ListedKeys:
    """The keys that hold for one gate. `refresh` it when the verified documents have changed."""

    def __init__(self, state: Path, own: Keys, log: FilteringBoundLogger) -> None:
        self.held = Listed((), known=False)
        self._state = state
        self._own = own
        self._log = log
        self._seen: tuple[bytes | None] | None = None

    def refresh(self) -> str:
        """Read the list in force; the trouble with it, if that is news."""
        before = self.held
        try:
            data = trust_folder.documents(self._state).get(DOCUMENT)
            if self._seen == (data,):  # another document has changed: a list of 3,000 gates takes 20 ms to read
                return ""
            self.held = _judged(data, self._own)
            self._seen = (data,)
        except (OSError, MessageError) as error:
            self._seen = None
            why = f"the signers' list of gates cannot be read, what held before goes on: {error}"
            self.held = Listed(before.center, before.known, why)
        if self.held.center != before.center:
            self._log.info("center.keys", listed=len(self.held.center))
        if self.held.trouble in {"", before.trouble}:
            return ""
        self._log.error("keys.trouble", why=self.held.trouble)
        return self.held.trouble


def _other(gate: str) -> str:
    return (
        "the signers' list of gates has another box's keys for this gate: the center takes nothing of this one; set it "
        f"up anew: at the center gatectl gate replace {gate}, here sudo gated setup FILE"
    )
