"""The latest failures and refunds of a range, as the dashboard lists them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from makegood import pages
from makegood.models import Generation, Refund, Reversal

ROWS = 10


@dataclass(frozen=True)
class Failure:
    """A generation that failed."""

    generation_id: UUID
    customer_id: str
    provider: str
    model: str
    ended_at: datetime | None
    error_class: str | None
    message: str | None
    credits_charged: int
    credits_refunded: int


@dataclass(frozen=True)
class RecentRefund:
    """A refund that was issued."""

    refund_id: UUID
    generation_id: UUID
    customer_id: str
    credits: int
    origin: str
    reason: str
    actor: str
    issued_at: datetime


def failures(session: Session, start: datetime, end: datetime | None = None) -> list[Failure]:
    """The latest generations that failed in [start, end)."""
    query = (
        select(
            Generation.id,
            Generation.customer_id,
            Generation.provider,
            Generation.model,
            Generation.ended_at,
            Generation.error_class,
            Generation.error_message,
            Generation.credits_charged,
            Generation.credits_refunded,
        )
        .where(Generation.status == "failed")
        .order_by(Generation.ended_at.desc(), Generation.id.desc())
        .limit(ROWS)
    )
    query = pages.narrowed(query, {}, Generation.ended_at, start, end)
    return [Failure(*row) for row in session.execute(query)]


def refunds(session: Session, start: datetime | None = None, end: datetime | None = None) -> list[RecentRefund]:
    """The latest refunds issued in [start, end) that were not reversed."""
    query = (
        select(
            Refund.id,
            Refund.generation_id,
            Refund.customer_id,
            Refund.credits,
            Refund.origin,
            Refund.reason,
            Refund.actor,
            Refund.issued_at,
        )
        .where(~exists().where(Reversal.refund_id == Refund.id))
        .order_by(Refund.issued_at.desc(), Refund.id.desc())
        .limit(ROWS)
    )
    query = pages.narrowed(query, {}, Refund.issued_at, start, end)
    return [RecentRefund(*row) for row in session.execute(query)]
