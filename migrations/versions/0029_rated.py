"""Paid credits in other currencies at each day's rate, by quarters of a month that are over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. The worker fills them."""
    op.create_table(
        "rated_quarters",
        sa.Column("quarter", sa.Date(), nullable=False),
        sa.Column("rates", sa.Text(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("quarter", name=op.f("pk_rated_quarters")),
    )
    op.create_table(
        "rated_customer_quarters",
        sa.Column("quarter", sa.Date(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("price_credits", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("micros", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint(
            "quarter",
            "customer_id",
            "currency",
            "price_amount",
            "price_credits",
            name=op.f("pk_rated_customer_quarters"),
        ),
    )


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
