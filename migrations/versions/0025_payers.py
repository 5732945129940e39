"""Who pays, what they paid by month, and what became of their credits by quarters of a month."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
CREDITS = ("sold", "used", "expired", "clawed", "adjusted")
FLAGGED = {"rollup_customer_months": "month", "rollup_customer_quarters": "quarter"}


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "payers",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("purchased", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _count("payments"),
        sa.Column("flagged", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_payers")),
    )
    op.create_index(
        "ix_payers_due",
        "payers",
        ["customer_id"],
        postgresql_where=sa.text("flagged <> (purchased OR payments > 0)"),
    )
    op.create_table(
        "payment_months",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        _count("payments"),
        _count("cash"),
        _count("fees"),
        _count("direct"),
        sa.PrimaryKeyConstraint("month", "customer_id", "currency", name=op.f("pk_payment_months")),
    )
    op.create_index(
        "ix_payments_foreign", "payments", ["created_at"], postgresql_where=sa.text("currency <> 'usd'")
    )
    op.create_table(
        "recognised_customer_quarters",
        sa.Column("quarter", sa.Date(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("price_credits", sa.BigInteger(), autoincrement=False, nullable=False),
        *(_count(name) for name in CREDITS),
        sa.CheckConstraint("currency = 'usd'", name=op.f("ck_recognised_customer_quarters_currency")),
        sa.PrimaryKeyConstraint(
            "quarter",
            "customer_id",
            "currency",
            "price_amount",
            "price_credits",
            name=op.f("pk_recognised_customer_quarters"),
        ),
    )
    # A customer's rows are found, to be flagged; the other index has the periods.
    op.drop_constraint("pk_rollup_customer_quarters", "rollup_customer_quarters")
    op.create_primary_key("pk_rollup_customer_quarters", "rollup_customer_quarters", ["customer_id", "quarter"])
    for table in FLAGGED:
        op.add_column(table, sa.Column("payer", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.get_bind().connection.driver_connection.execute((SQL / "0025_payers.sql").read_text())
    for table, period in FLAGGED.items():
        op.create_index(f"ix_{table}_payer", table, [period], postgresql_where=sa.text("payer"))


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)
