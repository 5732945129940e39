"""Refunds of a whole incident, and reversals of refunds."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
CHECKS = (
    (
        "credit_transactions",
        "kind",
        "CASE kind WHEN 'grant' THEN amount > 0 WHEN 'refund' THEN amount > 0 WHEN 'charge' THEN amount < 0 "
        "WHEN 'expiry' THEN amount < 0 WHEN 'reversal' THEN amount < 0 WHEN 'adjustment' THEN true ELSE false END",
    ),
    (
        "credit_transactions",
        "generation",
        "(kind IN ('charge', 'refund', 'reversal')) = (generation_id IS NOT NULL)",
    ),
    ("refunds", "origin", "origin IN ('automatic', 'manual', 'bulk')"),
)


def upgrade() -> None:
    """Apply."""
    for table, name, condition in CHECKS:
        op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)
    _create_bulk_refunds()
    _create_items()
    op.add_column("refunds", sa.Column("bulk_refund_id", sa.UUID(), nullable=True))
    op.create_check_constraint(
        op.f("ck_refunds_bulk"), "refunds", "(origin = 'bulk') = (bulk_refund_id IS NOT NULL)"
    )
    op.create_foreign_key(
        op.f("fk_refunds_bulk_refund_id_generation_id"),
        "refunds",
        "bulk_refund_items",
        ["bulk_refund_id", "generation_id"],
        ["bulk_refund_id", "generation_id"],
    )
    op.create_index(
        "uq_refunds_bulk",
        "refunds",
        ["customer_id", "generation_id", "bulk_refund_id"],
        unique=True,
        postgresql_where=sa.text("origin = 'bulk'"),
    )
    _create_reversals()
    op.get_bind().connection.driver_connection.execute((SQL / "0009_bulk_refunds.sql").read_text())


def _create_bulk_refunds() -> None:
    zero = sa.text("0")
    op.create_table(
        "bulk_refunds",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("error_class", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("generations", sa.BigInteger(), nullable=False),
        sa.Column("customers", sa.BigInteger(), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("approver", sa.Text(), nullable=True),
        sa.Column("stopped_by", sa.Text(), nullable=True),
        sa.Column("refunded", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("skipped", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("credits_refunded", sa.BigInteger(), server_default=zero, nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint(
            "char_length(idempotency_key) BETWEEN 1 AND 200", name=op.f("ck_bulk_refunds_idempotency_key")
        ),
        sa.CheckConstraint("status IN ('succeeded', 'failed', 'cancelled')", name=op.f("ck_bulk_refunds_status")),
        sa.CheckConstraint("since < until", name=op.f("ck_bulk_refunds_until")),
        sa.CheckConstraint("char_length(note) BETWEEN 1 AND 1000", name=op.f("ck_bulk_refunds_note")),
        sa.CheckConstraint(
            "generations > 0 AND customers BETWEEN 1 AND generations AND credits >= generations",
            name=op.f("ck_bulk_refunds_confirmed"),
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'stopped', 'finished', 'refused')", name=op.f("ck_bulk_refunds_state")
        ),
        sa.CheckConstraint(
            "(state IN ('finished', 'refused')) = (ended_at IS NOT NULL)", name=op.f("ck_bulk_refunds_ended")
        ),
        sa.CheckConstraint("(state = 'stopped') = (stopped_by IS NOT NULL)", name=op.f("ck_bulk_refunds_stopped")),
        sa.CheckConstraint("approver <> actor", name=op.f("ck_bulk_refunds_approver")),
        sa.CheckConstraint(
            "refunded >= 0 AND skipped >= 0 AND failed >= 0 AND refunded + skipped + failed <= generations "
            "AND credits_refunded BETWEEN refunded AND credits "
            "AND (state <> 'finished' OR refunded + skipped = generations) "
            "AND (state NOT IN ('waiting', 'refused') OR refunded + skipped + failed = 0)",
            name=op.f("ck_bulk_refunds_progress"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_refunds")),
    )
    op.create_index("uq_bulk_refunds_key", "bulk_refunds", ["idempotency_key"], unique=True)
    op.create_index(
        "ix_bulk_refunds_running", "bulk_refunds", ["id"], postgresql_where=sa.text("state = 'running'")
    )


def _create_items() -> None:
    op.create_table(
        "bulk_refund_items",
        sa.Column("bulk_refund_id", sa.UUID(), nullable=False),
        sa.Column("generation_id", sa.UUID(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("refund_id", sa.UUID(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.CheckConstraint("credits > 0", name=op.f("ck_bulk_refund_items_credits")),
        sa.CheckConstraint(
            "outcome IN ('refunded', 'skipped', 'failed')", name=op.f("ck_bulk_refund_items_outcome")
        ),
        sa.CheckConstraint(
            "coalesce(outcome = 'refunded', false) = (refund_id IS NOT NULL)",
            name=op.f("ck_bulk_refund_items_refunded"),
        ),
        sa.CheckConstraint(
            "coalesce(outcome = 'failed', false) = (problem IS NOT NULL)", name=op.f("ck_bulk_refund_items_failed")
        ),
        sa.ForeignKeyConstraint(
            ["bulk_refund_id"], ["bulk_refunds.id"], name=op.f("fk_bulk_refund_items_bulk_refund_id")
        ),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generations.id"], name=op.f("fk_bulk_refund_items_generation_id")
        ),
        sa.ForeignKeyConstraint(["refund_id"], ["refunds.id"], name=op.f("fk_bulk_refund_items_refund_id")),
        sa.PrimaryKeyConstraint("bulk_refund_id", "generation_id", name=op.f("pk_bulk_refund_items")),
    )
    op.create_index("uq_bulk_refund_items_refund", "bulk_refund_items", ["refund_id"], unique=True)
    op.create_index(
        "ix_bulk_refund_items_due",
        "bulk_refund_items",
        ["bulk_refund_id", "generation_id"],
        postgresql_where=sa.text("outcome IS NULL"),
    )
    op.create_index("ix_bulk_refund_items_generation", "bulk_refund_items", ["generation_id"])


def _create_reversals() -> None:
    op.create_table(
        "reversals",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("refund_id", sa.UUID(), nullable=False),
        sa.Column("generation_id", sa.UUID(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("transaction_id", sa.UUID(), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("reversed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("credits > 0", name=op.f("ck_reversals_credits")),
        sa.CheckConstraint("char_length(note) BETWEEN 1 AND 1000", name=op.f("ck_reversals_note")),
        sa.CheckConstraint(
            "char_length(idempotency_key) BETWEEN 1 AND 200", name=op.f("ck_reversals_idempotency_key")
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_reversals_customer_id")),
        sa.ForeignKeyConstraint(["generation_id"], ["generations.id"], name=op.f("fk_reversals_generation_id")),
        sa.ForeignKeyConstraint(["refund_id"], ["refunds.id"], name=op.f("fk_reversals_refund_id")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["credit_transactions.id"], name=op.f("fk_reversals_transaction_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reversals")),
    )
    op.create_index("uq_reversals_refund", "reversals", ["refund_id", "customer_id"], unique=True)
    op.create_index("uq_reversals_transaction", "reversals", ["transaction_id"], unique=True)
    op.create_index("ix_reversals_generation", "reversals", ["generation_id"])


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
