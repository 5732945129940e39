"""Failed generations by error class, in the order of the failure log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_generations_error",
        "generations",
        ["error_class", "ended_at", "id"],
        postgresql_where=sa.text("status = 'failed'"),
    )


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
