"""Grants: giving credits, the monthly allowance of each tier, and expiry."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, exists, or_, select
from sqlalchemy.orm import Session

from makegood import idempotency, ledger
from makegood.calendars import local_day, month_of, next_month, start_of
from makegood.errors import Invalid
from makegood.models import Customer, Grant, Tier
from makegood.models.ledger import GRANT_SOURCES

MAX_CREDITS = 1_000_000_000


def add(
    session: Session,
    customer_id: str,
    credits: int,
    *,
    source: str,
    reason: str,
    actor: str,
    expires_at: datetime | None = None,
    idempotency_key: str | None = None,
    at: datetime | None = None,
) -> Grant:
    """Give credits to a customer. With an idempotency key, a repeat returns the first grant.

    Raises NotFound, Invalid, or IdempotencyConflict (the key was used for another request).
    """
    at = at or datetime.now(UTC)
    if idempotency_key is not None:
        expiry = expires_at.astimezone(UTC).isoformat() if expires_at else None
        request = json.dumps(["grant", customer_id, credits, source, reason, expiry])
        claim = idempotency.claim(session, idempotency_key, hashlib.sha256(request.encode()).digest())
        if claim.repeated:
            return session.get_one(Grant, claim.resource_id)
    _check(credits, source, expires_at, at)
    ledger.lock(session, customer_id, at)
    grant = ledger.post(
        session,
        customer_id,
        credits,
        source=source,
        actor=actor,
        reason=reason,
        expires_at=expires_at,
        at=at,
    )
    if idempotency_key is not None:
        idempotency.point_to(session, idempotency_key, grant.id)
    return grant


def _check(credits: int, source: str, expires_at: datetime | None, at: datetime) -> None:
    fields = {}
    if not 0 < credits <= MAX_CREDITS:
        fields["credits"] = f"must be a whole number from 1 to {MAX_CREDITS}"
    if source not in GRANT_SOURCES:
        fields["source"] = f"must be one of {', '.join(GRANT_SOURCES)}"
    if source == "purchase" and expires_at is not None:
        fields["expires_at"] = "must be absent: purchased credits never expire"
    if source == "allowance" and expires_at is None:
        fields["expires_at"] = "is required: an allowance expires"
    if expires_at is not None and expires_at <= at:
        fields["expires_at"] = "must lie in the future"
    if fields:
        raise Invalid("The grant is not valid. No credits were given.", fields=fields)


def open_grants(session: Session, customer_id: str, at: datetime | None = None) -> list[Grant]:
    """Grants with credits left that have not expired, in the order in which they will be spent."""
    return list(session.scalars(select(Grant).from_statement(select_open(customer_id, at or datetime.now(UTC)))))


def select_open(customer_id: str, at: datetime) -> Select[*tuple[Any, ...]]:
    """Their rows, in that order."""
    return (
        select(*Grant.__table__.columns)
        .where(Grant.customer_id == customer_id, Grant.remaining > 0)
        .where(or_(Grant.expires_at.is_(None), Grant.expires_at > at))
        .order_by(Grant.source == "purchase", Grant.expires_at.nulls_last(), Grant.id)
    )


def expire_due(session: Session, *, at: datetime | None = None, limit: int = 500) -> int:
    """Take expired credits out of at most `limit` customers' balances. Returns how many customers it met."""
    at = at or datetime.now(UTC)
    due = (
        select(Grant.customer_id)
        .where(Grant.remaining > 0, Grant.expires_at <= at)
        .distinct()
        .order_by(Grant.customer_id)
        .limit(limit)
    )
    customers = list(session.scalars(due))
    for customer_id in customers:
        ledger.lock(session, customer_id, at)
    return len(customers)


def give_allowances(session: Session, *, timezone: ZoneInfo, at: datetime | None = None, limit: int = 500) -> int:
    """Give this month's allowance to at most `limit` customers who have not had it. Returns how many."""
    at = at or datetime.now(UTC)
    month = month_of(local_day(at, timezone))
    had = exists().where(Grant.customer_id == Customer.id, Grant.source == "allowance", Grant.month == month)
    due = (
        select(Customer.id)
        .join(Tier, Tier.name == Customer.tier)
        .where(Tier.monthly_allowance > 0, ~had)
        .order_by(Customer.id)
        .limit(limit)
    )
    customers = list(session.scalars(due))
    for customer_id in customers:
        give_allowance(session, customer_id, timezone=timezone, at=at)
    return len(customers)


def give_allowance(
    session: Session, customer_id: str, *, timezone: ZoneInfo, at: datetime | None = None
) -> Grant | None:
    """Give one customer this month's allowance, once. It expires when the next month begins."""
    at = at or datetime.now(UTC)
    month = month_of(local_day(at, timezone))
    ledger.lock(session, customer_id, at)
    had = select(Grant.id).where(
        Grant.customer_id == customer_id, Grant.source == "allowance", Grant.month == month
    )
    allowance = session.scalar(
        select(Tier.monthly_allowance).join(Customer, Customer.tier == Tier.name).where(Customer.id == customer_id)
    )
    if not allowance or session.scalar(had) is not None:
        return None
    return ledger.post(
        session,
        customer_id,
        allowance,
        source="allowance",
        actor="system",
        reason=f"monthly allowance {month:%Y-%m}",
        expires_at=start_of(next_month(month), timezone),
        month=month,
        at=at,
    )
