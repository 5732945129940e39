"""The refund history's filter "standing" is called "reversed" now, and says it the other way round: in saved views."""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

RENAMED = r"""
UPDATE saved_views
   SET query = regexp_replace(regexp_replace(query, '(^|&)standing=yes(?=&|$)', '\1reversed=no'),
                              '(^|&)standing=no(?=&|$)', '\1reversed=yes')
 WHERE page = 'admin.refunds' AND query LIKE '%standing=%'
"""


def upgrade() -> None:
    """Apply."""
    op.execute(RENAMED)


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
