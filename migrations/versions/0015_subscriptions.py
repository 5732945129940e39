"""MRR by day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

WHOLE = "'^-?[0-9]+(/[1-9][0-9]*)?$'"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "mrr_snapshots",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("rules", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("subscribers", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unknown", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_mrr_snapshots")),
    )
    op.create_table(
        "mrr_totals",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("mrr", sa.Text(), nullable=False),
        sa.Column("subscribers", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(f"mrr ~ {WHOLE}", name=op.f("ck_mrr_totals_mrr")),
        sa.ForeignKeyConstraint(
            ["day"], ["mrr_snapshots.day"], name=op.f("fk_mrr_totals_day"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("day", "currency", name=op.f("pk_mrr_totals")),
    )
    op.create_table(
        "mrr_changes",
        sa.Column("id", postgresql.UUID(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stripe_customer_id", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.CheckConstraint(
            f"before ~ {WHOLE} AND after ~ {WHOLE} AND before <> after", name=op.f("ck_mrr_changes_amounts")
        ),
        sa.CheckConstraint(
            "kind IN ('new', 'expansion', 'contraction', 'churn', 'reactivation', 'restated')",
            name=op.f("ck_mrr_changes_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["day"], ["mrr_snapshots.day"], name=op.f("fk_mrr_changes_day"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mrr_changes")),
    )
    op.create_index(
        "uq_mrr_changes_customer",
        "mrr_changes",
        ["stripe_customer_id", "currency", "day", "kind"],
        unique=True,
    )
    op.create_index("ix_mrr_changes_at", "mrr_changes", ["at", "id"])
    op.create_index("ix_mrr_changes_day", "mrr_changes", ["day"])
    op.create_table(
        "subscription_worths",
        sa.Column("subscription_id", sa.Text(), nullable=False),
        sa.Column("mrr", sa.Text(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.CheckConstraint(f"mrr IS NULL OR mrr ~ {WHOLE}", name=op.f("ck_subscription_worths_mrr")),
        sa.CheckConstraint("mrr IS NOT NULL OR why IS NOT NULL", name=op.f("ck_subscription_worths_why")),
        sa.PrimaryKeyConstraint("subscription_id", name=op.f("pk_subscription_worths")),
    )


def downgrade() -> None:
    """Not taken back: nobody can read again what MRR was."""
    raise NotImplementedError("restore a backup instead")
