"""Limits on credits that are given and taken by adjustment, taken by reversal, and refunded in bulk on a day."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
LIMITS = ("per_adjustment", "per_taking", "per_taking_day", "per_bulk_day")
REQUESTS = {
    "kind": "kind IN ('refund', 'bulk_refund', 'adjustment', 'reversal')",
    "subject": "char_length(subject) BETWEEN 1 AND 250",
    "credits": (
        "CASE kind WHEN 'adjustment' THEN credits <> 0 WHEN 'reversal' THEN credits < 0 ELSE credits > 0 END"
    ),
    "result": "(result_id IS NOT NULL) = (kind <> 'bulk_refund' AND state = 'approved')",
}


def upgrade() -> None:
    """Apply."""
    for limit in LIMITS:
        op.add_column("refund_limits", sa.Column(limit, sa.BigInteger()))
        op.create_check_constraint(op.f(f"ck_refund_limits_{limit}"), "refund_limits", f"{limit} >= 0")
    for name, rule in REQUESTS.items():
        op.drop_constraint(op.f(f"ck_approvals_{name}"), "approvals", type_="check")
        op.create_check_constraint(op.f(f"ck_approvals_{name}"), "approvals", rule)
    op.create_index("ix_credit_adjustments_by_hand", "credit_adjustments", ["actor", "adjusted_at"])
    op.create_index("ix_reversals_by_hand", "reversals", ["actor", "reversed_at"])
    op.get_bind().connection.driver_connection.execute((SQL / "0018_limits.sql").read_text())


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
