"""Rollups for the monitoring pages: failures and refunds by reason, latencies, and figures by customer."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
PERIODS = {"bucket": sa.DateTime(timezone=True), "day": sa.Date(), "month": sa.Date()}
REASONS = ("failed", "refunds", "credits_refunded", "loss_micros")
CUSTOMERS = (
    "generations",
    "succeeded",
    "failed",
    "cancelled",
    "refunds",
    "credits_charged",
    "credits_refunded",
    "cost_micros",
    "unknown_costs",
    "loss_micros",
)


def upgrade() -> None:
    """Apply."""
    for name in ("reason", "origin"):
        op.add_column("events", sa.Column(name, sa.Text(), server_default="", nullable=False))
    for period in ("bucket", "day"):
        _rollup(f"rollup_reason_{period}s", period, ("provider", "model", "kind", "reason", "origin"), REASONS)
        _rollup(f"rollup_latency_{period}s", period, ("provider", "model", "kind", "bin"), ("succeeded",))
    for period in ("day", "month"):
        _rollup(f"rollup_customer_{period}s", period, ("customer_id",), CUSTOMERS)
        op.create_index(f"ix_rollup_customer_{period}s_{period}", f"rollup_customer_{period}s", [period])
    op.get_bind().connection.driver_connection.execute((SQL / "0006_rollups.sql").read_text())


def _rollup(table: str, period: str, keys: tuple[str, ...], measures: tuple[str, ...]) -> None:
    op.create_table(
        table,
        sa.Column(period, PERIODS[period], nullable=False),
        *(
            sa.Column(key, sa.BigInteger() if key == "bin" else sa.Text(), autoincrement=False, nullable=False)
            for key in keys
        ),
        *(sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False) for name in measures),
        # A customer's page reads all of one customer.
        sa.PrimaryKeyConstraint(
            *((*keys, period) if keys == ("customer_id",) else (period, *keys)), name=op.f(f"pk_{table}")
        ),
    )


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
