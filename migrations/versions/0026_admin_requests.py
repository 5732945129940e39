"""Requests to raise limits and to make somebody an admin: they move no credits and make no row of their own."""

from __future__ import annotations

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

REQUESTS = {
    "kind": "kind IN ('refund', 'bulk_refund', 'adjustment', 'reversal', 'new_limits', 'new_admin')",
    "credits": (
        "CASE WHEN kind = 'adjustment' THEN credits <> 0 WHEN kind = 'reversal' THEN credits < 0 "
        "WHEN kind IN ('new_limits', 'new_admin') THEN credits = 0 ELSE credits > 0 END"
    ),
    "result": ("(result_id IS NOT NULL) = (kind IN ('refund', 'adjustment', 'reversal') AND state = 'approved')"),
}


def upgrade() -> None:
    """Apply."""
    for name, rule in REQUESTS.items():
        op.drop_constraint(op.f(f"ck_approvals_{name}"), "approvals", type_="check")
        op.create_check_constraint(op.f(f"ck_approvals_{name}"), "approvals", rule)


def downgrade() -> None:
    """Not taken back."""
    raise NotImplementedError("restore a backup instead")
