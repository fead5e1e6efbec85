"""Alarms of the site itself, which have no gate."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """From 0001."""
    with op.batch_alter_table("alarm") as table:
        table.alter_column("gate_id", existing_type=_ID, nullable=True)
