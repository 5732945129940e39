"""The refund history's filter "standing" is called "reversed" now, and says it the other way round: in saved views."""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    for before, after in (("standing=yes", "reversed=no"), ("standing=no", "reversed=yes")):
        op.execute(
            rf"UPDATE saved_views SET query = regexp_replace(query, '(^|&){before}(?=&|$)', '\1{after}')"
            " WHERE page = 'admin.refunds'"  # noqa: S608 (made of our own words)
        )


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
