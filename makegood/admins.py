"""Admins check each other: what lets somebody do more than before takes two of them, where there are two.

Otherwise one admin could raise the limits that hold them, or make an accomplice. Whoever was an admin until
lately counts too, so that nobody becomes the only one by shutting the others out. The command line is no operator
and asks nobody: whoever has it has the database.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists, literal, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from makegood.models import AuditEntry, Operator

REMEMBERED = timedelta(days=7)
"""How long somebody who is no admin any more still counts as another one."""


def is_one(session: Session, email: str) -> bool:
    """Whether this is an active admin."""
    active = and_(Operator.email == email, Operator.role == "admin", Operator.disabled_at.is_(None))
    return session.scalar(select(exists().where(active))) or False


def others(session: Session, actor: str, *, at: datetime) -> bool:
    """Whether who acts is an operator, and another one is an admin, or was one less than seven days ago."""
    return session.scalar(select(beside(literal(actor), at=at))) or False


def beside(email: ColumnElement[str] | InstrumentedAttribute[str], *, at: datetime) -> ColumnElement[bool]:
    """The same of each row's `email`, as a condition."""
    since, acts, other = at - REMEMBERED, aliased(Operator), aliased(Operator)
    demoted = exists().where(
        AuditEntry.action == "operator.role_changed",
        AuditEntry.subject == other.email,
        AuditEntry.created_at > since,
        AuditEntry.details["before"]["role"].astext == "admin",
    )
    another = exists().where(
        other.email != email,
        or_(other.disabled_at.is_(None), other.disabled_at > since),
        or_(other.role == "admin", demoted),
    )
    return and_(exists().where(acts.email == email), another)


def approved(by: str | None) -> dict[str, str]:
    """What an audit entry says of who approved it."""
    return {"approved_by": by} if by else {}
