"""What each role may do. A route names the action that it needs: `@access.requires("refund")`."""

from __future__ import annotations

from typing import Protocol

ACTIONS = frozenset(
    {
        "view",
        "refund",
        "reverse_refund",
        "bulk_refund",
        "acknowledge",
        "apply_callback",
        "write_note",
        "adjust_credits",
        "switch_provider",
        "link_stripe",
        "edit_prices",
        "check_bills",
        "sync_stripe",
        "edit_policies",
        "edit_limits",
        "read_audit",
        "read_settings",
        "manage_operators",
        "manage_keys",
    }
)
PERMISSIONS: dict[str, frozenset[str]] = {
    "viewer": frozenset({"view"}),
    "support": frozenset(
        {"view", "refund", "reverse_refund", "acknowledge", "apply_callback", "write_note", "link_stripe"}
    ),
    "admin": ACTIONS,
}


class HasRole(Protocol):
    """Whoever acts: an operator's row, or the operator of a session."""

    @property
    def role(self) -> str:
        """One of ROLES."""


def may(operator: HasRole, action: str) -> bool:
    """Whether the operator's role allows the action. Raises ValueError for an action that does not exist."""
    if action not in ACTIONS:
        raise ValueError(f"no such action: {action}")
    return action in PERMISSIONS[operator.role]
