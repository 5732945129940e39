"""Rollups of what became of paid credits."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Apply."""
    _create_days("recognised_days", "provider", "model", "tier")
    _create_days("recognised_customer_days", "customer_id")
    op.create_table(
        "recognised_progress",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("entries", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_recognised_progress_customer_id")
        ),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_recognised_progress")),
    )
    op.create_table(
        "recognised_state",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_recognised_state_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recognised_state")),
    )
    op.get_bind().connection.driver_connection.execute((SQL / "0016_recognised.sql").read_text())


def _create_days(table: str, *keys: str) -> None:
    measures = ("sold", "used", "expired", "clawed", "adjusted")
    op.create_table(
        table,
        sa.Column("day", sa.Date(), nullable=False),
        *(sa.Column(key, sa.Text(), nullable=False) for key in keys),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("price_credits", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False) for name in measures),
        sa.PrimaryKeyConstraint(
            "day", *keys, "currency", "price_amount", "price_credits", name=op.f(f"pk_{table}")
        ),
    )


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
