"""A sighting: a reader has read a credential, once."""

from dataclasses import dataclass
from enum import StrEnum

from protocol.credential import Credential


class PlateColour(StrEnum):
    """The colour of a number plate: two vehicles may have one number in two of them."""

    BLUE = "blue"
    YELLOW = "yellow"
    BLACK = "black"
    WHITE = "white"
    FADING_GREEN = "fading-green"
    YELLOW_GREEN = "yellow-green"
    GREEN = "green"
    RED = "red"


@dataclass(frozen=True, slots=True)
class SignedCard:
    """What a verified signature says of a card: the key that made it and when it was issued (POSIX seconds).

    Valid from `begins` on and before `ends`, where it says so; `holder` is a random name, as on a list. `copied` if
    what was signed was read from another chip than it was made for, or has been used before.
    """

    key: str
    issued: float
    begins: float | None = None
    ends: float | None = None
    holder: str = ""
    copied: bool = False


@dataclass(frozen=True, slots=True)
class Proved:
    """Whose card it is that was read, and the proof."""

    credential: Credential
    card: SignedCard


@dataclass(frozen=True, slots=True)
class Sighting:
    """One read of one thing.

    `also` are further credentials of the same thing (the plate in an on-board unit), `at` is monotonic seconds at
    the last byte, `signal` is dBm where the reader tells it, `tid` the chip's own number where it was read,
    `card` the proof where the credential is signed and the signature held, and `colour` the plate's.
    """

    reader: str
    credential: Credential
    at: float
    also: tuple[Credential, ...] = ()
    signal: float | None = None
    tid: str | None = None
    card: SignedCard | None = None
    colour: PlateColour | None = None
