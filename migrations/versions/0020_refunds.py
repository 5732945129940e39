"""Refunds by provider, model and reason, found without their generations."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Apply."""
    for name in ("provider", "model"):
        op.add_column("refunds", sa.Column(name, sa.Text()))
    op.get_bind().connection.driver_connection.execute((SQL / "0020_refunds.sql").read_text())
    for name in ("provider", "model", "reason"):
        op.create_index(f"ix_refunds_{name}", "refunds", [name, "issued_at", "id"])


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
