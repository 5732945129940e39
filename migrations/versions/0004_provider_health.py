"""What is observed of providers: their balances, their speed, and deliveries that come too late."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "provider_balances",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("remaining", sa.Numeric(), nullable=True),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("limit", sa.Numeric(), nullable=True),
        sa.Column("usd_micros", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("char_length(provider) BETWEEN 1 AND 200", name=op.f("ck_provider_balances_provider")),
        sa.CheckConstraint(
            "(problem IS NULL) = (remaining IS NOT NULL) AND (remaining IS NULL) = (unit IS NULL)",
            name=op.f("ck_provider_balances_answered"),
        ),
        # Not a number counts as greater than every number.
        sa.CheckConstraint("abs(remaining) < 1e15", name=op.f("ck_provider_balances_remaining")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_balances")),
    )
    op.create_index("ix_provider_balances_asked", "provider_balances", ["provider", "asked_at"])
    op.add_column("callbacks", sa.Column("late", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.execute("UPDATE callbacks SET late = true WHERE state = 'applied' AND detail IN ('late', 'repeated')")
    op.create_index("ix_callbacks_received", "callbacks", ["received_at", "id"])
    op.create_index("ix_callbacks_provider", "callbacks", ["provider", "received_at", "id"])
    op.create_index(
        "ix_callbacks_state",
        "callbacks",
        ["state", "received_at", "id"],
        postgresql_where=sa.text("state <> 'applied'"),
    )
    op.create_index(
        "ix_callbacks_late",
        "callbacks",
        ["provider", "received_at"],
        postgresql_where=sa.text("late AND state = 'applied'"),
    )
    # Percentiles over a month are read from the first alone, without the rows themselves.
    op.create_index(
        "ix_generations_latency",
        "generations",
        ["provider", "ended_at"],
        postgresql_include=["latency_ms", "model"],
        postgresql_where=sa.text("status = 'succeeded'"),
    )
    op.create_index(
        "ix_generations_provider_failed",
        "generations",
        ["provider", "ended_at"],
        postgresql_include=["error_class"],
        postgresql_where=sa.text("status = 'failed'"),
    )


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
