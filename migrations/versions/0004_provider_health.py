"""What is observed of providers."""

from __future__ import annotations

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
