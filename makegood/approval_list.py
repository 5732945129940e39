"""Requests for approval as they are read: the list, newest first, and those that something waits for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from makegood import pages, permissions
from makegood.approval_kinds import KINDS, waits
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


@dataclass(frozen=True)
class About:
    """Requests that wait, the oldest first, and who approved what was made, by its id."""

    waiting: list[Approval]
    approvers: dict[UUID, str]


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


def about(session: Session, subjects: Iterable[str], *, at: datetime) -> About:
    """What waits and what was approved about these subjects."""
    query = select(Approval).where(
        Approval.subject.in_(list(subjects)), or_(waits(at), Approval.state == "approved")
    )
    found = session.scalars(query.order_by(Approval.requested_at)).all()
    return About(
        [approval for approval in found if approval.state == "pending"],
        {one.result_id: one.decided_by for one in found if one.result_id and one.decided_by},
    )


def waiting_about(session: Session, subjects: Iterable[str], *, at: datetime) -> dict[str, Approval]:
    """The requests about these subjects that wait, by subject: for lists of things of one sort."""
    query = select(Approval).where(Approval.subject.in_(list(subjects)), waits(at))
    return {one.subject: one for one in session.scalars(query)}


def waiting_of(session: Session, customer_id: str, *, at: datetime) -> list[Approval]:
    """The requests about a customer and what is theirs that wait, the oldest first."""
    query = select(Approval).where(waits(at), Approval.details["customer_id"].astext == customer_id)
    return list(session.scalars(query.order_by(Approval.requested_at, Approval.id)))


def waiting_for(session: Session, email: str, role: str, *, at: datetime) -> int:
    """How many requests of others wait that this operator could decide."""
    kinds = [kind.name for kind in KINDS.values() if kind.action in permissions.PERMISSIONS[role]]
    query = select(func.count()).where(
        waits(at),
        Approval.requested_by != email,
        Approval.kind.in_(kinds),
    )
    return session.scalar(query) or 0
