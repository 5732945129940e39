"""Refund policies with an author, mapped errors, and indexes of the audit log."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
ERRORS = (
    "'content_policy_violation', 'internal_error', 'generation_failed', 'storage_error', 'timeout', "
    "'provider_unavailable', 'provider_account', 'invalid_input', 'unknown_error'"
)


def upgrade() -> None:
    """Apply."""
    for name, default in (("actor", "'system'"), ("note", "'As shipped'")):
        column = sa.Column(name, sa.Text(), server_default=sa.text(default), nullable=False)
        op.add_column("refund_policies", column)
    op.create_check_constraint(
        op.f("ck_refund_policies_note"), "refund_policies", "char_length(note) BETWEEN 1 AND 1000"
    )
    _create_mappings()
    op.create_index(
        "ix_generations_unknown_error",
        "generations",
        ["ended_at"],
        postgresql_where=sa.text("error_class = 'unknown_error'"),
    )
    op.drop_index("ix_generations_failed", "generations")
    op.create_index(
        "ix_generations_failed",
        "generations",
        ["ended_at", "id"],
        postgresql_include=["error_class", "credits_charged"],
        postgresql_where=sa.text("status = 'failed'"),
    )
    op.create_index(
        "ix_generations_cancelled", "generations", ["ended_at"], postgresql_where=sa.text("status = 'cancelled'")
    )
    op.create_index("ix_audit_entries_written", "audit_entries", ["created_at", "id"])
    op.create_index("ix_audit_entries_actor", "audit_entries", ["actor", "created_at", "id"])
    op.create_index("ix_audit_entries_action", "audit_entries", ["action", "created_at", "id"])
    op.get_bind().connection.driver_connection.execute((SQL / "0010_policies.sql").read_text())


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")


def _create_mappings() -> None:
    op.create_table(
        "error_mappings",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("error_class", sa.Text()),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("char_length(provider) BETWEEN 1 AND 200", name=op.f("ck_error_mappings_provider")),
        sa.CheckConstraint("char_length(message) <= 200", name=op.f("ck_error_mappings_message")),
        sa.CheckConstraint(f"error_class IN ({ERRORS})", name=op.f("ck_error_mappings_error_class")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_error_mappings")),
    )
    op.create_index("ix_error_mappings_message", "error_mappings", ["provider", "message", "id"])
