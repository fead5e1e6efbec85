"""What a flash says and hears: orders to the shell and to the building process, and their answers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Need:
    """A file that verified metadata names and the gate lacks; `have` are the pieces that are here already."""

    name: str
    sha256: str
    length: int
    have: frozenset[int] = frozenset()
    last: bool = False
    """Whether everything else is to be in force before this is fetched."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the building process says of a message. With `why` it is not to be believed, and the rest says nothing."""

    why: str = ""
    snapshot: int = 0
    vouched: float = 0.0
    expires: float = 0.0
    version: str | None = None
    needs: tuple[Need, ...] = ()
    build: bool = False
    """Whether there is something to build without anything to fetch."""
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Built:
    """What the building process says of a build: what it refused and why, whatever else was taken."""

    refused: tuple[str, ...] = ()
    whole: bool = False
    """A delta does not fit; the whole list is needed."""
    version: str | None = None
    """The list that is in force now."""
    entries: int | None = None
    """How many entries it has."""
    switched: bool = False
    """The pointer names something else now."""
    documents: bool = False
    """A document has changed."""
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Subscribe to this topic: what is retained there is to come, even where it has come before."""

    topic: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """No more of this topic."""

    topic: str


@dataclass(frozen=True, slots=True)
class KeepMessage:
    """Keep the repository's message in the depot."""

    message: bytes


@dataclass(frozen=True, slots=True)
class KeepPiece:
    """Keep a piece in the depot."""

    sha256: str
    piece: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Check:
    """Have the kept message checked at this time; answer `checked`, or `failed`. `whole`: no delta."""

    validity: float
    floor: float
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Build:
    """Have what is here built at this time; answer `built`, or `failed`."""

    validity: float
    floor: float
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Switched:
    """Another list or overlay is in force, or other documents are: take them up between two decisions."""

    list: bool
    documents: bool


@dataclass(frozen=True, slots=True)
class Release:
    """The building process is not needed for now."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Say this, retained."""

    topic: str
    payload: bytes


Act = Subscribe | Unsubscribe | KeepMessage | KeepPiece | Check | Build | Switched | Release | Publish
