"""Results that we keep, and notifications of the platform."""

from __future__ import annotations

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
