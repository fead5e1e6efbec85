"""Messages between gate and center, as both sides know them: pydantic models of JSON objects.

Each is signed as `protocol.signature` says. A key that is not known is passed over, so that an older side can read a
newer one; what is missing or of another shape makes the message bad. Times are RFC 3339 with offset, hashes and keys
lower-case hex.
"""

import json
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from protocol.event import ClockQuality
from protocol.topics import NAME_PATTERN

MESSAGE_MAX_BYTES: Final = 64 * 1024
"""Bound of every message but batches and pieces of blobs."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
EpochId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
Seq = Annotated[int, Field(ge=0, lt=2**63)]
Text = Annotated[str, StringConstraints(max_length=1000)]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class MessageError(ValueError):
    """The bytes are no message of that kind; the message says what is wrong."""


class Message(BaseModel):
    """What all messages share."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", use_attribute_docstrings=True, serialize_by_alias=True, validate_by_name=True
    )

    def to_bytes(self) -> bytes:
        """The JSON object, unsigned; what is None is left out."""
        values = self.model_dump(mode="json", exclude_none=True)
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The message that these bytes are. Raises MessageError."""
        try:
            return cls.model_validate_json(data)
        except (ValidationError, RecursionError) as error:
            raise MessageError(f"no {cls.__name__.lower()}: {_first(error)}") from error


class Sent(Message):
    """When a message left: wall time, monotonic seconds, boot id and how good the clock is."""

    at: Text
    """Wall time."""
    mono: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Monotonic seconds of that boot."""
    boot: Text
    """Boot id."""
    clock: ClockQuality
    """Whether the wall clock is known to be right."""


class Header(Message):
    """A batch's first line; its event lines follow, each ended by one newline."""

    site: Name
    """The site."""
    gate: Name
    """The gate."""
    board: Text
    """The board that the gate runs on."""
    epoch: EpochId
    """The epoch that the events belong to."""
    begins: Annotated[Seq, Field(alias="from", ge=1)]
    """The epoch's first seq."""
    root: Hash
    """The hash before the epoch's first event."""
    oldest: Annotated[Seq, Field(ge=1)]
    """The first seq that the gate still has."""
    first: Annotated[Seq, Field(ge=1)]
    """The first event's seq; with no events, that of the next one."""
    count: Annotated[int, Field(ge=0, le=100_000)]
    """How many event lines follow."""
    prev: Hash
    """The hash before `first`."""
    sent: Sent
    """When this batch left."""


class Ack(Message):
    """The center's head of an epoch, after its commit."""

    epoch: EpochId
    """Which epoch it answers for."""
    seq: Seq
    """The last event that the center holds; 0 for none."""
    hash: Hash
    """That event's hash; zeros for none."""
    want: bool
    """Whether all after it is to be sent again."""


class DeviceStatus(Message):
    """How one device fares."""

    what: Literal["reader", "input", "output"]
    """What it is for."""
    online: bool
    """Whether it is there."""
    why: Text = ""
    """Why not."""
    heard_s_ago: float | None = None
    """When a reader last read something."""


class ListStatus(Message):
    """The list in force, or why there is none."""

    version: Text | None = None
    """Its version."""
    entries: int | None = None
    """How many entries it has."""
    age_s: float | None = None
    """How long ago the center vouched for it; None for a list loaded by hand."""
    trouble: Text = ""
    """What is wrong with it."""


class Rivals(Message):
    """Another box that certainly runs under this gate's name at the same time."""

    epoch: EpochId
    """The epoch it sends."""


class Status(Message):
    """How a gate is; said at each connect, on each change and each minute."""

    state: Literal["online"] = "online"
    """It is there."""
    session: Id
    """Random, new at each start."""
    connection: Annotated[int, Field(ge=1)]
    """Counts the connections of this session."""
    number: Annotated[int, Field(ge=1)]
    """Counts the statuses of this session, so that an old one is known as such."""
    sent: Sent
    """When it was said."""
    version: Text
    """Of the program."""
    board: Text
    """The board that it runs on."""
    epoch: EpochId | Literal[""]
    """The journal's epoch; empty while it cannot be read."""
    mode: Literal["automatic", "guard-only"]
    """Whether anything opens by itself."""
    fire: Text | None = None
    """What the fire input says: `clear`, or why every barrier is held open, `open` or `lost`; None without one."""
    backlog: Annotated[int, Field(ge=0)]
    """Events that the center has not acknowledged."""
    hours_left: float | None = None
    """How long the disk lasts without the center, at today's rate."""
    free_bytes: int | None = None
    """Free space on the disk."""
    list: ListStatus
    """The list in force."""
    devices: dict[str, DeviceStatus]
    """Readers, inputs and outputs, by lane and number."""
    rivals: tuple[Rivals, ...] = ()
    """Others that run under this gate's name."""
    heard: Annotated[tuple[Id, ...], Field(max_length=100)] = ()
    """Sessions but its own that it has heard under its name; who finds its own here knows that there are two boxes."""
    refused: dict[str, int] = {}
    """How many commands this session has refused, by reason."""
    key: Key | None = None
    """The gate's Ed25519 key, until `gates.json` has it."""
    seal: Key | None = None
    """The gate's X25519 key, until `gates.json` has it."""
    voucher: Text | None = None
    """The one-time key's signature over both, until `gates.json` has them."""


class Offline(Message):
    """A gate's last will: all it can say is that this connection has ended."""

    state: Literal["offline"] = "offline"
    """It is gone."""
    session: Id
    """Whose connection has ended."""
    connection: Annotated[int, Field(ge=1)]
    """Which one."""


class WhitelistStatus(Message):
    """How the gate's list fares: which version is in force, a flash under way, a refusal."""

    session: Id
    """The gate's session."""
    number: Annotated[int, Field(ge=1)]
    """Counts these messages of this session."""
    in_force: Text | None = None
    """The version in force."""
    entries: int | None = None
    """How many entries it has."""
    state: Literal["idle", "fetching", "building", "refused"]
    """What the gate does about a newer one."""
    version: Text | None = None
    """The version that it fetches, builds or has refused."""
    snapshot: int | None = None
    """The state of the repository that it knows of: with `idle`, all of that is in force."""
    done: int | None = None
    """Bytes fetched so far."""
    total: int | None = None
    """Bytes to fetch."""
    why: Text = ""
    """Why it was refused."""


class Command(Message):
    """What a DSSE envelope carries: an order to one gate."""

    site: Name
    """The site."""
    gate: Name
    """The gate."""
    session: Id
    """The session of the gate's latest status: an order does not outlive a restart."""
    id: Id
    """Random; the reply bears it, and it is never taken twice."""
    action: Literal["open", "hold", "release", "resend", "diagnostics", "restart"]
    """What to do."""
    lane: Text | None = None
    """At which lane, for the first three."""
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """How long to hold."""
    after: Seq | None = None
    """After which event to send again."""
    reason: Text = ""
    """Why, in the operator's words."""
    issued: Text
    """When it was given, by the operator's clock."""
    expires: Text
    """Until when it may be taken, by the operator's clock; a gate whose clock is not `synced` cannot judge that."""
    until: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Until when it may be taken, by the gate's own monotonic clock: counted from `sent.mono` of its latest status."""


class Reply(Message):
    """What became of a command."""

    id: Id
    """Which command."""
    ok: bool
    """Whether it was carried out."""
    refused: Text = ""
    """In one word, why it was not even accepted; empty where it was."""
    why: Text = ""
    """Why it was not carried out, in words."""
    details: dict[str, Any] = {}
    """What it brought to light."""


def gate_says(data: bytes) -> Status | Offline:
    """What a gate says on its status topic. Raises MessageError."""
    return Offline.from_bytes(data) if b'"state":"offline"' in data[:40] else Status.from_bytes(data)


def _first(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    detail = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in detail["loc"])
    return f"{where}: {detail['msg']}" if where else detail["msg"]
