"""What providers say they charged."""

from __future__ import annotations

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
