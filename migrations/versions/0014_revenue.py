"""Sums of balance transactions, and exchange rates."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "balance_sums",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("bucket", sa.DateTime(timezone=True), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("reporting_category", sa.Text(), nullable=False),
        sa.Column("transactions", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_balance_sums")),
    )
    op.create_index("ix_balance_sums_bucket", "balance_sums", ["bucket", "currency", "reporting_category"])
    op.create_table(
        "exchange_rates",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("usd_per_unit", sa.Numeric(precision=20, scale=12), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint(
            "currency ~ '^[a-z]{3}$' AND currency <> 'usd'", name=op.f("ck_exchange_rates_currency")
        ),
        sa.CheckConstraint(
            "usd_per_unit > 0 AND usd_per_unit <= 1000000", name=op.f("ck_exchange_rates_usd_per_unit")
        ),
        sa.CheckConstraint("day >= '2000-01-01' AND day < '2100-01-01'", name=op.f("ck_exchange_rates_day")),
        sa.CheckConstraint("char_length(source) BETWEEN 1 AND 200", name=op.f("ck_exchange_rates_source")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exchange_rates")),
    )
    op.create_index("ix_exchange_rates_listed", "exchange_rates", ["day", "id"])
    op.create_index(
        "uq_exchange_rates_day",
        "exchange_rates",
        ["currency", "day"],
        unique=True,
        postgresql_where=sa.text("replaced_at IS NULL"),
    )
    op.create_index(
        "ix_stripe_balance_transactions_category",
        "stripe_balance_transactions",
        ["reporting_category", "created_at", "id"],
    )
    op.get_bind().connection.driver_connection.execute((SQL / "0014_revenue.sql").read_text())


def downgrade() -> None:
    """Not taken back: what operators have entered rests on it."""
    raise NotImplementedError("restore a backup instead")
