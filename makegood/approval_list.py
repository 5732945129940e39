"""The list of requests for approval, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from makegood import pages
from makegood.models import Approval
from makegood.pages import Listing

STATES = ("pending", "approved", "rejected", "withdrawn", "expired")


@dataclass(frozen=True)
class ApprovalFilters:
    """What to list; None is no restriction. The instants are half open: [start, end)."""

    state: str | None = None
    kind: str | None = None
    requested_by: str | None = None
    customer_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None


APPROVALS: Listing[ApprovalFilters, Approval] = Listing(
    select(Approval),
    pages.whole,
    at=Approval.requested_at,
    id=Approval.id,
    equal={
        "state": Approval.state,
        "kind": Approval.kind,
        "requested_by": Approval.requested_by,
        "customer_id": Approval.details["customer_id"].astext,
    },
)
"""By when they were made."""
