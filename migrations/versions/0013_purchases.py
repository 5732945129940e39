"""Credits sold: purchases, and what was taken back of them."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
KINDS = (
    "CASE kind WHEN 'grant' THEN amount > 0 WHEN 'refund' THEN amount > 0 WHEN 'charge' THEN amount < 0 "
    "WHEN 'expiry' THEN amount < 0 WHEN 'reversal' THEN amount < 0 WHEN 'clawback' THEN amount < 0 "
    "WHEN 'restoration' THEN amount > 0 WHEN 'adjustment' THEN true ELSE false END"
)


def upgrade() -> None:
    """Apply."""
    op.drop_constraint(op.f("ck_credit_transactions_kind"), "credit_transactions")
    op.create_check_constraint(op.f("ck_credit_transactions_kind"), "credit_transactions", KINDS)
    _create_purchases()
    _create_clawbacks()
    op.add_column("grants", sa.Column("purchase_id", sa.UUID(), nullable=True))
    op.create_foreign_key(op.f("fk_grants_purchase_id"), "grants", "purchases", ["purchase_id"], ["id"])
    op.create_index(
        "ix_grants_purchase", "grants", ["purchase_id"], postgresql_where=sa.text("purchase_id IS NOT NULL")
    )
    op.create_index(
        "ix_credit_transactions_expiry",
        "credit_transactions",
        ["customer_id"],
        postgresql_where=sa.text("kind = 'expiry'"),
    )
    op.get_bind().connection.driver_connection.execute((SQL / "0013_purchases.sql").read_text())


def _create_purchases() -> None:
    op.create_table(
        "purchases",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("linked_by", sa.Text(), nullable=False),
        sa.Column("source_kind", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.UUID(), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("paid", sa.BigInteger(), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        *(_count(name) for name in ("refunded", "disputed", "returned", "clawed", "owed", "gone")),
        _written(),
        sa.CheckConstraint(
            "source_kind IN ('checkout_session', 'invoice')", name=op.f("ck_purchases_source_kind")
        ),
        sa.CheckConstraint("char_length(source_id) BETWEEN 1 AND 200", name=op.f("ck_purchases_source_id")),
        sa.CheckConstraint("credits > 0", name=op.f("ck_purchases_credits")),
        sa.CheckConstraint("amount >= 0 AND paid >= 0", name=op.f("ck_purchases_amount")),
        sa.CheckConstraint(
            "refunded >= 0 AND disputed >= 0 AND returned BETWEEN 0 AND paid", name=op.f("ck_purchases_returned")
        ),
        sa.CheckConstraint(
            "clawed BETWEEN 0 AND credits AND owed >= 0 AND gone >= 0 AND owed + gone <= clawed",
            name=op.f("ck_purchases_clawed"),
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_purchases_customer_id")),
        sa.ForeignKeyConstraint(
            ["grant_id"],
            ["grants.id"],
            name=op.f("fk_purchases_grant_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purchases")),
    )
    op.create_index("uq_purchases_source", "purchases", ["source_kind", "source_id"], unique=True)
    op.create_index("uq_purchases_grant", "purchases", ["grant_id"], unique=True)
    op.create_index("ix_purchases_customer", "purchases", ["customer_id", "paid_at", "id"])
    op.create_index("ix_purchases_paid_at", "purchases", ["paid_at", "id"])
    op.create_index("ix_purchases_owed", "purchases", ["customer_id"], postgresql_where=sa.text("owed > 0"))


def _create_clawbacks() -> None:
    op.create_table(
        "clawbacks",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("purchase_id", sa.UUID(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("transaction_id", sa.UUID(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("amount", "refunded", "disputed", "taken", "owed", "gone")
        ),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        _written(),
        sa.CheckConstraint(
            "cause IN ('refund', 'dispute', 'refund_failed', 'dispute_won', 'debt')",
            name=op.f("ck_clawbacks_cause"),
        ),
        sa.CheckConstraint("(taken <> 0) = (transaction_id IS NOT NULL)", name=op.f("ck_clawbacks_transaction")),
        sa.CheckConstraint(
            "cause <> 'debt' OR (amount = 0 AND gone = 0 AND taken > 0 AND owed = -taken)",
            name=op.f("ck_clawbacks_debt"),
        ),
        sa.ForeignKeyConstraint(["purchase_id"], ["purchases.id"], name=op.f("fk_clawbacks_purchase_id")),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_clawbacks_customer_id")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["credit_transactions.id"], name=op.f("fk_clawbacks_transaction_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clawbacks")),
    )
    op.create_index("uq_clawbacks_number", "clawbacks", ["purchase_id", "number"], unique=True)
    op.create_index("uq_clawbacks_transaction", "clawbacks", ["transaction_id"], unique=True)
    op.create_index("ix_clawbacks_customer", "clawbacks", ["customer_id", "id"])


def _count(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)


def _written() -> sa.Column[object]:
    return sa.Column(
        "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
    )


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
