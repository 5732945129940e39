"""What changed of payments and purchases since the payment check last found it in order."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "payment_changes",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_changes")),
    )
    op.get_bind().connection.driver_connection.execute((SQL / "0027_payment_changes.sql").read_text())


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
