"""Unknown errors by month and normalised message, so that each message is found by one look into the index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_generations_unknown_message",
        "generations",
        [
            sa.text("date_trunc('month', (ended_at AT TIME ZONE 'UTC'))"),
            "provider",
            sa.text("normal_error(error_message)"),
            "ended_at",
        ],
        postgresql_where=sa.text("error_class = 'unknown_error'"),
    )
    # The planner would take it where its statistics are of before an incident, and normalise each message anew.
    op.drop_index("ix_generations_unknown_error", "generations")


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
