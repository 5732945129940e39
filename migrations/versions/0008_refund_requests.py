"""Refund limits, and refunds that wait for a second operator."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Apply."""
    _create_limits()
    _create_approvals()
    op.create_index(
        "ix_refunds_by_hand", "refunds", ["actor", "issued_at"], postgresql_where=sa.text("origin = 'manual'")
    )
    op.get_bind().connection.driver_connection.execute((SQL / "0008_refund_requests.sql").read_text())


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")


def _written() -> sa.Column[sa.DateTime]:
    now = sa.text("clock_timestamp()")
    return sa.Column("created_at", sa.DateTime(timezone=True), server_default=now, nullable=False)


def _create_limits() -> None:
    op.create_table(
        "refund_limits",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("per_refund", sa.BigInteger()),
        sa.Column("per_day", sa.BigInteger()),
        sa.Column("per_bulk", sa.BigInteger()),
        sa.Column("confirm_from", sa.BigInteger()),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        _written(),
        sa.CheckConstraint("role IN ('support', 'admin')", name=op.f("ck_refund_limits_role")),
        sa.CheckConstraint("per_refund >= 0", name=op.f("ck_refund_limits_per_refund")),
        sa.CheckConstraint("per_day >= 0", name=op.f("ck_refund_limits_per_day")),
        sa.CheckConstraint("per_bulk >= 0", name=op.f("ck_refund_limits_per_bulk")),
        sa.CheckConstraint("confirm_from >= 0", name=op.f("ck_refund_limits_confirm_from")),
        sa.CheckConstraint("char_length(note) BETWEEN 1 AND 1000", name=op.f("ck_refund_limits_note")),
        sa.PrimaryKeyConstraint("version", "role", name=op.f("pk_refund_limits")),
    )


def _create_approvals() -> None:
    op.create_table(
        "approvals",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("decided_by", sa.Text()),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
        sa.Column("decision_note", sa.Text()),
        sa.Column("result_id", sa.UUID()),
        _written(),
        sa.CheckConstraint("kind IN ('refund', 'bulk_refund')", name=op.f("ck_approvals_kind")),
        sa.CheckConstraint("char_length(subject) BETWEEN 1 AND 200", name=op.f("ck_approvals_subject")),
        sa.CheckConstraint("credits > 0", name=op.f("ck_approvals_credits")),
        sa.CheckConstraint("char_length(note) BETWEEN 1 AND 1000", name=op.f("ck_approvals_note")),
        sa.CheckConstraint(
            "state IN ('pending', 'approved', 'rejected', 'withdrawn', 'expired')", name=op.f("ck_approvals_state")
        ),
        sa.CheckConstraint("(state = 'pending') = (decided_at IS NULL)", name=op.f("ck_approvals_decided_at")),
        sa.CheckConstraint(
            "(state IN ('approved', 'rejected', 'withdrawn')) = (decided_by IS NOT NULL)",
            name=op.f("ck_approvals_decided_by"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('approved', 'rejected') OR decided_by <> requested_by",
            name=op.f("ck_approvals_second_operator"),
        ),
        sa.CheckConstraint(
            "state <> 'withdrawn' OR decided_by = requested_by", name=op.f("ck_approvals_withdrawn")
        ),
        sa.CheckConstraint("state <> 'rejected' OR decision_note IS NOT NULL", name=op.f("ck_approvals_rejected")),
        sa.CheckConstraint(
            "char_length(decision_note) BETWEEN 1 AND 1000", name=op.f("ck_approvals_decision_note")
        ),
        sa.CheckConstraint(
            "(result_id IS NOT NULL) = (kind = 'refund' AND state = 'approved')", name=op.f("ck_approvals_result")
        ),
        sa.CheckConstraint("expires_at > requested_at", name=op.f("ck_approvals_expires_at")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
    )
    pending = sa.text("state = 'pending'")
    op.create_index(
        "uq_approvals_pending", "approvals", ["kind", "subject"], unique=True, postgresql_where=pending
    )
    op.create_index("ix_approvals_subject", "approvals", ["subject"])
    op.create_index("uq_approvals_result", "approvals", ["result_id"], unique=True)
    op.create_index("ix_approvals_requested", "approvals", ["requested_at", "id"])
    op.create_index("ix_approvals_due", "approvals", ["expires_at"], postgresql_where=pending)
    op.create_index(
        "ix_approvals_approved",
        "approvals",
        ["decided_by", "decided_at"],
        postgresql_where=sa.text("state = 'approved'"),
    )
