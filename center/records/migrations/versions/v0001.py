"""The first version: gates, epochs, events and what does not fit; alarms; statuses."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "event",
        sa.Column("id", ID, nullable=False),
        sa.Column("gate_id", ID, nullable=False),
        sa.Column("epoch_id", ID, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.Double()),
        sa.Column("kind", sa.Text()),
        sa.Column("lane", sa.Text()),
        sa.Column("direction", sa.Text()),
        sa.Column("credential", sa.Text()),
        sa.Column("verdict", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("holder", sa.Text()),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("received", sa.Double(), nullable=False),
        sa.Column("line", sa.LargeBinary(), nullable=False),
        sa.Column("same_as", ID),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sa.UniqueConstraint("gate_id", "hash", name=op.f("uq_event_gate_id_hash")),
        sa.UniqueConstraint("gate_id", "seq", "epoch_id", name=op.f("uq_event_gate_id_seq_epoch_id")),
    )
    op.create_table(
        "gate",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary()),
        sa.Column("seal", sa.LargeBinary()),
        sa.Column("voucher_key", sa.LargeBinary()),
        sa.Column("voucher_until", sa.Double()),
        sa.Column("added", sa.Double(), nullable=False),
        sa.Column("enrolled", sa.Double()),
        sa.Column("first_heard", sa.Double()),
        sa.Column("heard_at", sa.Double()),
        sa.Column("heard_epoch", sa.Text()),
        sa.Column("heard_board", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gate")),
        sa.UniqueConstraint("name", name=op.f("uq_gate_name")),
    )
    op.create_table(
        "alarm",
        sa.Column("id", ID, nullable=False),
        sa.Column("gate_id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("first_seen", sa.Double(), nullable=False),
        sa.Column("last_seen", sa.Double(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged", sa.Double()),
        sa.Column("ended", sa.Double()),
        sa.ForeignKeyConstraint(["gate_id"], ["gate.id"], name=op.f("fk_alarm_gate_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm")),
    )
    op.create_index(op.f("ix_alarm_gate_id_kind"), "alarm", ["gate_id", "kind"], unique=False)
    op.create_table(
        "departed",
        sa.Column("gate_id", ID, autoincrement=False, nullable=False),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("left", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["gate_id"], ["gate.id"], name=op.f("fk_departed_gate_id")),
        sa.PrimaryKeyConstraint("gate_id", "session", name=op.f("pk_departed")),
    )
    op.create_table(
        "epoch",
        sa.Column("id", ID, nullable=False),
        sa.Column("gate_id", ID, nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("board", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("began", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["gate_id"], ["gate.id"], name=op.f("fk_epoch_gate_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_epoch")),
        sa.UniqueConstraint("gate_id", "epoch", name=op.f("uq_epoch_gate_id_epoch")),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", ID, nullable=False),
        sa.Column("gate_id", ID, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("received", sa.Double(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["gate_id"], ["gate.id"], name=op.f("fk_quarantine_gate_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint("gate_id", "content", name=op.f("uq_quarantine_gate_id_content")),
    )
    op.create_table(
        "status",
        sa.Column("gate_id", ID, autoincrement=False, nullable=False),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("connection", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("received", sa.Double(), nullable=False),
        sa.Column("message", sa.LargeBinary()),
        sa.ForeignKeyConstraint(["gate_id"], ["gate.id"], name=op.f("fk_status_gate_id")),
        sa.PrimaryKeyConstraint("gate_id", name=op.f("pk_status")),
    )
    op.create_table(
        "gap",
        sa.Column("id", ID, nullable=False),
        sa.Column("epoch_id", ID, nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("found", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["epoch_id"], ["epoch.id"], name=op.f("fk_gap_epoch_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gap")),
    )
