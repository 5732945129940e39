"""The failure log: generations that failed, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from makegood.models import Generation
from makegood.pages import Listing


@dataclass(frozen=True)
class FailureFilters:
    """What to list; None is no restriction. The instants are half open: [start, end)."""

    provider: str | None = None
    error_class: str | None = None
    customer_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    late_outcome: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class LoggedFailure:
    """A failed generation: what went wrong, what was charged and returned (credits), what it cost, and what its
    provider reported after that."""

    generation_id: UUID
    customer_id: str
    provider: str
    model: str
    ended_at: datetime
    error_class: str
    message: str | None
    credits_charged: int
    credits_refunded: int
    cost_micros: int | None
    late_outcome: str | None


@dataclass(frozen=True)
class LateResults:
    """Results that came after their generation had failed and was refunded: their number, what they cost us
    (micro-dollars), and of how many the cost is unknown."""

    count: int
    loss_micros: int
    unknown_costs: int


FAILURES: Listing[FailureFilters, LoggedFailure] = Listing(
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
        Generation.cost_micros,
        Generation.late_outcome,
    ).where(Generation.status == "failed"),
    LoggedFailure,
    at=Generation.ended_at,
    id=Generation.id,
    equal={
        "provider": Generation.provider,
        "error_class": Generation.error_class,
        "customer_id": Generation.customer_id,
        "late_outcome": Generation.late_outcome,
        "model": Generation.model,
    },
)
"""By when they ended."""


def late_results(session: Session, *, since: datetime) -> LateResults:
    """The results that came too late since then, and were handed over without charging anybody again."""
    row = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(Generation.cost_micros), 0),
            func.count().filter(Generation.cost_micros.is_(None)),
        ).where(Generation.late_outcome == "succeeded", Generation.late_at >= since, Generation.status == "failed")
    ).one()
    return LateResults(row[0], int(row[1] or 0), row[2])
