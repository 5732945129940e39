"""What GET /api/admin/revenue says of margin and of credits that are owed."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from makegood.ranges import Range
from settings import Settings


def fields(session: Session, settings: Settings, span: Range) -> tuple[dict[str, Any], dict[str, str]]:
    """The fields, and the rule behind each."""
    names = ("provider_cost", "platform_loss", "profit", "margin", "credit_liability")
    return dict.fromkeys(names), {}
