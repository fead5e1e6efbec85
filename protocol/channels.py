"""The topics between gates and center as a table: who writes and reads each, what travels on it, how it is protected.

`protocol.topics` makes the topics and `protocol.message` the messages; here stands what belongs together, for whatever
walks over all of it: the AsyncAPI document and its JSON Schemas are made from this table, and the broker's rules are
held against it. All of it is MQTT 3.1.1 at QoS 1.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from protocol import batch, blob, message, repository, topics
from protocol.message import Ack, Command, Header, Message, Offline, Reply, Status, WhitelistStatus

QOS: Final = 1
JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"


class Party(StrEnum):
    """Who has an account at the broker."""

    GATE = "gate"
    CENTER = "center"
    TECHNICIAN = "technician"


class Proof(StrEnum):
    """What shows that a message is genuine. The broker's word never does."""

    SIGNED = "signed"
    DSSE = "dsse"
    TUF = "tuf"


PROOFS: Final = {
    Proof.SIGNED: (
        "Signed with Ed25519 by its sender: a gate's own key, or the center's online key. Signed are the topic, a "
        'newline, and the payload as sent without `,"sig":"…"`. That member is the last of the JSON object, on the '
        "payload's first line; what follows that line is signed with it. Whatever does not verify is passed over."
    ),
    Proof.DSSE: (
        "A DSSE envelope (version 1), signed with the Ed25519 key of an operator whom operators.json of the whitelist "
        "repository names; an account at the broker gives no right. A retained one counts for nothing."
    ),
    Proof.TUF: (
        "Part of the whitelist repository (TUF 1.0): each file of its metadata is signed by the keys of its role, and "
        "the metadata names each blob with its length and its SHA-256. The message itself is not signed."
    ),
}


@dataclass(frozen=True, slots=True)
class Channel:
    """One topic. `models` are its messages, none where it carries no JSON object of a fixed shape."""

    name: str
    address: str
    writers: tuple[Party, ...]
    readers: tuple[Party, ...]
    retained: bool
    proof: Proof
    max_bytes: int
    what: str
    models: tuple[type[Message], ...] = ()
    content: str = JSON
    will: type[Message] | None = None


PARAMETERS: Final = {
    "site": "The community's name: 1 to 40 small letters, digits and -.",
    "gate": "The gate's name, written in the same way.",
    "id": "The command's id: 1 to 64 letters, digits, - and _.",
    "sha256": "The blob's SHA-256: 64 small hex digits.",
    "piece": "Which piece of the blob, counted from 0.",
}
_SITE: Final = "{site}"
_GATE: Final = "{gate}"
_GATE_ONLY: Final = (Party.GATE,)
_CENTER_ONLY: Final = (Party.CENTER,)
_WATCHING: Final = (Party.CENTER, Party.TECHNICIAN)

CHANNELS: Final = (
    Channel(
        name="status",
        address=topics.status(_SITE, _GATE),
        writers=_GATE_ONLY,
        readers=(Party.GATE, *_WATCHING),
        retained=True,
        proof=Proof.SIGNED,
        max_bytes=message.MESSAGE_MAX_BYTES,
        what=(
            "How a gate is: said at each connect, on each change and each minute; its last will says that it is gone. "
            "It hears its own, and so another box under its name."
        ),
        models=(Status, Offline),
        will=Offline,
    ),
    Channel(
        name="events",
        address=topics.events(_SITE, _GATE),
        writers=_GATE_ONLY,
        readers=_CENTER_ONLY,
        retained=False,
        proof=Proof.SIGNED,
        max_bytes=batch.PAYLOAD_MAX_BYTES,
        what=(
            "Batches of events: the header that is described here, and as many event lines as its `count` says, each "
            "ended by one newline and byte for byte as the gate has it on disk. A batch without events says where the "
            "gate's chain ends."
        ),
        models=(Header,),
        content=BYTES,
    ),
    Channel(
        name="ack",
        address=topics.ack(_SITE, _GATE),
        writers=_CENTER_ONLY,
        readers=_GATE_ONLY,
        retained=True,
        proof=Proof.SIGNED,
        max_bytes=message.MESSAGE_MAX_BYTES,
        what="How far the center holds a gate's events, said after its commit and never before. The answer to a batch.",
        models=(Ack,),
    ),
    Channel(
        name="whitelist",
        address=topics.whitelist(_SITE, _GATE),
        writers=_GATE_ONLY,
        readers=_WATCHING,
        retained=True,
        proof=Proof.SIGNED,
        max_bytes=message.MESSAGE_MAX_BYTES,
        what="Which list a gate has in force, how a flash fares, or why one was refused.",
        models=(WhitelistStatus,),
    ),
    Channel(
        name="repository",
        address=topics.repository(_SITE),
        writers=_CENTER_ONLY,
        readers=(Party.GATE, Party.TECHNICIAN),
        retained=True,
        proof=Proof.TUF,
        max_bytes=repository.MESSAGE_MAX_BYTES,
        what=(
            "All signed metadata of the whitelist repository: one JSON object of file names and their text, every root "
            "since the first among them."
        ),
    ),
    Channel(
        name="blob",
        address=topics.blob(_SITE, "{sha256}", 0).removesuffix("0") + "{piece}",
        writers=_CENTER_ONLY,
        readers=_GATE_ONLY,
        retained=True,
        proof=Proof.TUF,
        max_bytes=blob.PIECE_BYTES,
        what="One piece of what the repository's metadata names: lists, deltas, documents. All but the last are full.",
        content=BYTES,
    ),
    Channel(
        name="command",
        address=topics.command(_SITE, _GATE),
        writers=_WATCHING,
        readers=_GATE_ONLY,
        retained=False,
        proof=Proof.DSSE,
        max_bytes=message.MESSAGE_MAX_BYTES,
        what="An order to one gate: an envelope, with the command in it.",
        models=(Command,),
    ),
    Channel(
        name="reply",
        address=topics.reply(_SITE, _GATE, "{id}"),
        writers=_GATE_ONLY,
        readers=_WATCHING,
        retained=False,
        proof=Proof.SIGNED,
        max_bytes=message.MESSAGE_MAX_BYTES,
        what="What became of a command.",
        models=(Reply,),
    ),
)
