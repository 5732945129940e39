"""The list of requests for approval, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from makegood import pages
from makegood.models import Approval
from makegood.pages import Cursor, Page

STATES = ("pending", "approved", "rejected", "withdrawn", "expired")


@dataclass(frozen=True)
class ApprovalFilters:
    """What to list; None is no restriction. The instants are half open: [start, end)."""

    state: str | None = None
    kind: str | None = None
    requested_by: str | None = None
    start: datetime | None = None
    end: datetime | None = None


def listed(
    session: Session,
    filters: ApprovalFilters,
    *,
    before: Cursor | None = None,
    after: Cursor | None = None,
    limit: int = pages.SIZE,
) -> Page[Approval]:
    """One page of requests, by the time when they were made."""
    return pages.read(
        session,
        _selected(select(Approval), filters),
        Approval.requested_at.expression,
        Approval.id.expression,
        lambda row: row[0],
        lambda approval: Cursor(approval.requested_at, approval.id),
        before=before,
        after=after,
        limit=limit,
    )


def every(filters: ApprovalFilters) -> Select[*tuple[Any, ...]]:
    """All of them, newest first."""
    columns = select(*Approval.__table__.columns)
    return _selected(columns, filters).order_by(Approval.requested_at.desc(), Approval.id.desc())


def _selected(query: Select[*tuple[Any, ...]], filters: ApprovalFilters) -> Select[*tuple[Any, ...]]:
    equal = {
        Approval.state: filters.state,
        Approval.kind: filters.kind,
        Approval.requested_by: filters.requested_by,
    }
    return pages.narrowed(query, equal, Approval.requested_at, filters.start, filters.end)
