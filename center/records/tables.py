"""The center's tables. Columns bear the field's own words; hashes and keys are raw bytes, times POSIX seconds.

- `gate`: one row each; whoever writes anything of a gate holds a lock on its row.
- `epoch`: one life of a gate's journal, and how far it is held: `seq` and `hash` of its head.
- `event`: each event once, under the epoch in which it first came. `line` is the record, the rest is for looking up.
- `checkpoint`: how far an epoch was pruned from its front: `seq` and `hash` of the last that is gone; signed.
- `gap`: events that were lost; `hash` is that of the last of them, after which the chain goes on.
- `quarantine`: batches that did not fit, whole, with their signatures.
- `alarm`: what somebody must look at, of a gate or (`gate_id` is null) of the site. While it is open it is counted.
- `status`: the latest that a gate said of itself, and which session and connection said it.
- `departed`: sessions that a gate has left; they never come back.
- `expected`: visitors who are announced, until their time is over or they are withdrawn; then the row is gone.

Migrations in `center.records.migrations` make what stands here; a test compares the two.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

# SQLite numbers its rows by itself only in a column of exactly this type.
Id = BigInteger().with_variant(Integer(), "sqlite")


def _of_gate() -> Column[int]:
    return Column("gate_id", Id, ForeignKey("gate.id"), nullable=False)


gate = Table(
    "gate",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("key", LargeBinary),
    Column("seal", LargeBinary),
    Column("voucher_key", LargeBinary),
    Column("voucher_until", Double),
    Column("added", Double, nullable=False),
    Column("enrolled", Double),
    Column("first_heard", Double),
    Column("heard_at", Double),
    Column("heard_epoch", Text),
    Column("heard_board", Text),
)

epoch = Table(
    "epoch",
    metadata,
    Column("id", Id, primary_key=True),
    _of_gate(),
    Column("epoch", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("board", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("began", Double, nullable=False),
    UniqueConstraint("gate_id", "epoch"),
)

event = Table(
    "event",
    metadata,
    Column("id", Id, primary_key=True),
    # No foreign keys here: gates and epochs are never removed, and a check for each row costs what the row costs.
    Column("gate_id", Id, nullable=False),
    Column("epoch_id", Id, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("at", Double),
    Column("kind", Text),
    Column("lane", Text),
    Column("direction", Text),
    Column("credential", Text),
    Column("verdict", Text),
    Column("reason", Text),
    Column("holder", Text),
    Column("late", Boolean, nullable=False),
    Column("received", Double, nullable=False),
    Column("line", LargeBinary, nullable=False),
    Column("same_as", Id),
    UniqueConstraint("gate_id", "hash"),
    UniqueConstraint("gate_id", "seq", "epoch_id"),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("epoch_id", Id, ForeignKey("epoch.id"), primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("at", Double, nullable=False),
    Column("message", LargeBinary, nullable=False),
)

gap = Table(
    "gap",
    metadata,
    Column("id", Id, primary_key=True),
    Column("epoch_id", Id, ForeignKey("epoch.id"), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("found", Double, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Id, primary_key=True),
    _of_gate(),
    Column("content", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("received", Double, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    UniqueConstraint("gate_id", "content"),
)

alarm = Table(
    "alarm",
    metadata,
    Column("id", Id, primary_key=True),
    Column("gate_id", Id, ForeignKey("gate.id")),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("first_seen", Double, nullable=False),
    Column("last_seen", Double, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("acknowledged", Double),
    Column("ended", Double),
    Index(None, "gate_id", "kind"),
)

status = Table(
    "status",
    metadata,
    Column("gate_id", Id, ForeignKey("gate.id"), primary_key=True, autoincrement=False),
    Column("session", Text, nullable=False),
    Column("connection", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("online", Boolean, nullable=False),
    Column("received", Double, nullable=False),
    Column("message", LargeBinary),
)

departed = Table(
    "departed",
    metadata,
    Column("gate_id", Id, ForeignKey("gate.id"), primary_key=True, autoincrement=False),
    Column("session", Text, primary_key=True),
    Column("left", Double, nullable=False),
)

expected = Table(
    "expected",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("people", Integer, nullable=False),
    Column("plate", Text),
    Column("visits", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("begins", Double, nullable=False),
    Column("until", Double, nullable=False),
    Column("operator", Text, nullable=False),
    Column("announced", Double, nullable=False),
)
