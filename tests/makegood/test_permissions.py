"""What each role may do."""

from __future__ import annotations

import pytest

from makegood import permissions
from makegood.models import Operator


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("viewer", {"view"}),
        (
            "support",
            {"view", "refund", "reverse_refund", "acknowledge", "apply_callback", "write_note", "link_stripe"},
        ),
        ("admin", permissions.ACTIONS),
    ],
)
def test_each_role_may_what_its_row_in_the_table_says(role: str, allowed: set[str]) -> None:
    operator = Operator(role=role)
    assert {action for action in permissions.ACTIONS if permissions.may(operator, action)} == allowed


def test_an_action_that_does_not_exist_is_a_mistake_not_a_permission() -> None:
    with pytest.raises(ValueError, match="refnud"):
        permissions.may(Operator(role="admin"), "refnud")
