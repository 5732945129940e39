"""What GET /api/admin/revenue says of subscriptions."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from makegood.ranges import Range
from settings import Settings


def fields(session: Session, settings: Settings, span: Range) -> tuple[dict[str, Any], dict[str, str]]:
    """The fields, and the rule behind each."""
    return {"mrr": None, "arr": None, "active_subscribers": None, "churn": None, "arpu": None}, {}
