"""What customers used by quarters of a month: what is read of a month that a range covers in part."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
MEASURES = (
    "generations",
    "succeeded",
    "failed",
    "cancelled",
    "refunds",
    "credits_charged",
    "credits_refunded",
    "cost_micros",
    "unknown_costs",
    "loss_micros",
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "rollup_customer_quarters",
        sa.Column("quarter", sa.Date(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False) for name in MEASURES),
        sa.PrimaryKeyConstraint("quarter", "customer_id", name=op.f("pk_rollup_customer_quarters")),
    )
    op.get_bind().connection.driver_connection.execute((SQL / "0022_customer_quarters.sql").read_text())
    op.create_index("ix_rollup_customer_quarters_quarter", "rollup_customer_quarters", ["quarter"])


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
