"""Rollups by fewer keys for 15 minutes and days too: what the dashboard reads."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
MEASURES = (
    "generations",
    "succeeded",
    "failed",
    "cancelled",
    "refunds",
    "active_day",
    "active_month",
    "credits_charged",
    "credits_refunded",
    "cost_micros",
    "unknown_costs",
    "loss_micros",
    "latency_ms",
)


def upgrade() -> None:
    """Apply."""
    for table, period, type_ in (
        ("rollup_quarter_hours", "bucket", sa.DateTime(timezone=True)),
        ("rollup_provider_days", "day", sa.Date()),
    ):
        op.create_table(
            table,
            sa.Column(period, type_, nullable=False),
            sa.Column("provider", sa.Text(), nullable=False),
            sa.Column("tier", sa.Text(), nullable=False),
            *(_count(name) for name in MEASURES),
            sa.Column("last_charged_at", sa.DateTime(timezone=True)),
            sa.PrimaryKeyConstraint(period, "provider", "tier", name=op.f(f"pk_{table}")),
        )
    op.create_table(
        "rollup_latency_quarter_hours",
        sa.Column("bucket", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bin", sa.BigInteger(), autoincrement=False, nullable=False),
        _count("succeeded"),
        sa.PrimaryKeyConstraint("bucket", "bin", name=op.f("pk_rollup_latency_quarter_hours")),
    )
    op.add_column("rollup_hours", sa.Column("last_charged_at", sa.DateTime(timezone=True)))
    op.get_bind().connection.driver_connection.execute((SQL / "0021_coarse.sql").read_text())


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
