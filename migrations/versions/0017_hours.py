"""Rollups by fewer keys: by hour, for charts in other time zones than the reporting one, and latencies of all."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
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
    op.create_table(
        "rollup_hours",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        *(_count(name) for name in MEASURES),
        sa.PrimaryKeyConstraint("hour", "provider", "tier", name=op.f("pk_rollup_hours")),
    )
    _latencies("rollup_latency_hours", "hour", sa.DateTime(timezone=True))
    _latencies("rollup_latency_totals", "day", sa.Date())
    op.get_bind().connection.driver_connection.execute((SQL / "0017_hours.sql").read_text())


def _latencies(table: str, period: str, type_: sa.types.TypeEngine[object]) -> None:
    op.create_table(
        table,
        sa.Column(period, type_, nullable=False),
        sa.Column("bin", sa.BigInteger(), autoincrement=False, nullable=False),
        _count("succeeded"),
        sa.PrimaryKeyConstraint(period, "bin", name=op.f(f"pk_{table}")),
    )


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
