"""Payments with whose they are and what they bought, and paid credits of a month by customer."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
MEASURES = ("sold", "used", "expired", "clawed", "adjusted")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "payments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("for_credits", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
    )
    op.create_table(
        "payments_due",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments_due")),
    )
    op.create_table(
        "recognised_customer_months",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("price_credits", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False) for name in MEASURES),
        sa.CheckConstraint("currency = 'usd'", name=op.f("ck_recognised_customer_months_currency")),
        sa.PrimaryKeyConstraint(
            "month",
            "customer_id",
            "currency",
            "price_amount",
            "price_credits",
            name=op.f("pk_recognised_customer_months"),
        ),
    )
    op.create_index(
        "ix_recognised_customer_days_foreign",
        "recognised_customer_days",
        ["day"],
        postgresql_where=sa.text("currency <> 'usd'"),
    )
    op.get_bind().connection.driver_connection.execute((SQL / "0019_payments.sql").read_text())
    op.create_index("ix_payments_created_at", "payments", ["created_at"])
    op.create_index("ix_payments_source", "payments", ["source"])
    linked, unlinked = sa.text("customer_id IS NOT NULL"), sa.text("customer_id IS NULL")
    op.create_index("ix_payments_customer", "payments", ["customer_id"], postgresql_where=linked)
    op.create_index("ix_payments_unlinked", "payments", ["created_at"], postgresql_where=unlinked)


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
