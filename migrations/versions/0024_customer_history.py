"""Everything that was done to one customer: audit entries, requests and bulk refunds by the customer they name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

CUSTOMER = "(details ->> 'customer_id')"


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_audit_entries_customer",
        "audit_entries",
        [sa.text(CUSTOMER)],
        postgresql_where=sa.text(f"{CUSTOMER} IS NOT NULL"),
    )
    op.create_index("ix_approvals_customer", "approvals", [sa.text(CUSTOMER)])
    op.create_index("ix_bulk_refund_items_customer", "bulk_refund_items", ["customer_id", "bulk_refund_id"])


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
