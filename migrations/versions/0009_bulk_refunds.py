"""Refunds of a whole incident."""

from __future__ import annotations

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
