"""Notes on customers, adjustments of their credits, saved views, and what the lists are read by."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Apply."""
    _make_notes()
    _make_adjustments()
    _make_views()
    op.get_bind().connection.driver_connection.execute((SQL / "0011_customer_notes.sql").read_text())
    op.create_index("ix_generations_charged", "generations", ["charged_at", "id"])
    op.create_index(
        "ix_generations_ended",
        "generations",
        ["ended_at", "id"],
        postgresql_where=sa.text("ended_at IS NOT NULL"),
    )
    op.create_index("ix_generations_model", "generations", ["model", "charged_at"])
    op.create_index(
        "ix_generations_not_made_good",
        "generations",
        ["charged_at", "id"],
        postgresql_where=sa.text("status = 'failed' AND credits_refunded = 0"),
    )
    op.create_index(
        "ix_generations_partly_refunded",
        "generations",
        ["charged_at", "id"],
        postgresql_where=sa.text("credits_refunded > 0 AND credits_refunded < credits_charged"),
    )
    op.create_index("ix_refunds_customer", "refunds", ["customer_id", "issued_at", "id"])
    op.create_index("ix_customers_newest", "customers", ["created_at", "id"])
    # Beginnings of an id or an e-mail address are found whatever the database's collation.
    op.create_index("ix_customers_beginning", "customers", ["id"], postgresql_ops={"id": "text_pattern_ops"})
    op.drop_index("ix_customers_email", "customers")
    op.create_index("ix_customers_email", "customers", [sa.text("lower(email) text_pattern_ops")])


def _make_notes() -> None:
    op.create_table(
        "customer_notes",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        _written(),
        sa.CheckConstraint("char_length(body) BETWEEN 1 AND 2000", name=op.f("ck_customer_notes_body")),
        sa.CheckConstraint(
            "char_length(idempotency_key) BETWEEN 1 AND 200", name=op.f("ck_customer_notes_idempotency_key")
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_customer_notes_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_notes")),
    )
    op.create_index("ix_customer_notes_customer", "customer_notes", ["customer_id", "id"])
    op.create_index("uq_customer_notes_key", "customer_notes", ["customer_id", "idempotency_key"], unique=True)


def _make_adjustments() -> None:
    op.create_table(
        "credit_adjustments",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("transaction_id", sa.UUID(), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("adjusted_at", sa.DateTime(timezone=True), nullable=False),
        _written(),
        sa.CheckConstraint("credits <> 0", name=op.f("ck_credit_adjustments_credits")),
        sa.CheckConstraint("char_length(note) BETWEEN 1 AND 1000", name=op.f("ck_credit_adjustments_note")),
        sa.CheckConstraint(
            "char_length(idempotency_key) BETWEEN 1 AND 200", name=op.f("ck_credit_adjustments_idempotency_key")
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_credit_adjustments_customer_id")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["credit_transactions.id"], name=op.f("fk_credit_adjustments_transaction_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_adjustments")),
    )
    op.create_index("uq_credit_adjustments_transaction", "credit_adjustments", ["transaction_id"], unique=True)
    op.create_index(
        "uq_credit_adjustments_key", "credit_adjustments", ["customer_id", "idempotency_key"], unique=True
    )


def _make_views() -> None:
    op.create_table(
        "saved_views",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("operator_id", sa.UUID(), nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _written(),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 60", name=op.f("ck_saved_views_name")),
        sa.CheckConstraint("char_length(query) <= 2000", name=op.f("ck_saved_views_query")),
        sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name=op.f("fk_saved_views_operator_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_views")),
    )
    op.create_index("uq_saved_views_name", "saved_views", ["operator_id", "page", "name"], unique=True)
    op.create_index(
        "uq_saved_views_default",
        "saved_views",
        ["operator_id", "page"],
        unique=True,
        postgresql_where=sa.text("is_default"),
    )


def _written() -> sa.Column[object]:
    return sa.Column(
        "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
    )


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
