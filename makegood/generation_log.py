"""The generations list: every generation, newest first, by when it was charged or by when it ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, false, literal_column, select
from sqlalchemy.orm import Session

from makegood.models import Day, Generation, Tier
from makegood.models.generations import ENDED, IN_FLIGHT
from makegood.pages import Listing

ALL_IN_FLIGHT = "in_flight"
STATUSES = (*ENDED, ALL_IN_FLIGHT, *IN_FLIGHT)
"""What the status filter can be: a status, or all those that have not ended."""

BY_CHARGE, BY_END = "charged", "ended"


@dataclass(frozen=True)
class GenerationFilters:
    """What to list; None is no restriction. [start, end) are instants of `by`: when charged, or when ended.

    By when ended, only generations that have ended are listed. A value that a filter does not know matches
    nothing.
    """

    status: str | None = None
    provider: str | None = None
    model: str | None = None
    kind: str | None = None
    tier: str | None = None
    error_class: str | None = None
    customer_id: str | None = None
    cost: str | None = None
    refunded: str | None = None
    by: str = BY_CHARGE
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class LoggedGeneration:
    """A generation in the list: credits charged and returned, cost in micro-dollars (None: unknown)."""

    generation_id: UUID
    customer_id: str
    tier: str
    provider: str
    model: str
    kind: str
    status: str
    error_class: str | None
    credits_charged: int
    credits_refunded: int
    cost_micros: int | None
    latency_ms: int | None
    late_outcome: str | None
    charged_at: datetime
    ended_at: datetime | None


FAILED = Generation.status == literal_column("'failed'")
OF_COST: dict[str, ColumnElement[bool]] = {
    "unknown": Generation.cost_micros.is_(None),
    "known": Generation.cost_micros.is_not(None),
}
OF_REFUND: dict[str, ColumnElement[bool]] = {
    "yes": Generation.credits_refunded > 0,
    "partly": literal_column("credits_refunded > 0 AND credits_refunded < credits_charged", Boolean),
    "no": literal_column("credits_refunded = 0", Boolean),
}
"""Written as in the partial indexes: a parameter in the place of 0 would hide them from a prepared statement."""


@dataclass(frozen=True)
class Choices:
    """What generations of the rollups had, to choose filters from."""

    models: list[str]
    kinds: list[str]
    tiers: list[str]


def choices(session: Session) -> Choices:
    """The models and kinds that were ever charged, and the tiers in their order."""
    seen = session.execute(select(Day.model, Day.kind).where(Day.generations > 0).distinct()).all()
    tiers = session.scalars(select(Tier.name).order_by(Tier.position))
    return Choices(sorted({row.model for row in seen}), sorted({row.kind for row in seen}), list(tiers))


def _having(filters: GenerationFilters) -> Iterator[ColumnElement[bool]]:
    if filters.status is not None:
        yield _of_status(filters.status)
    if filters.error_class is not None:
        yield FAILED
    if filters.by == BY_END:
        yield Generation.ended_at.is_not(None)
    for value, conditions in ((filters.cost, OF_COST), (filters.refunded, OF_REFUND)):
        if value is not None:
            yield conditions.get(value, false())


def _of_status(status: str) -> ColumnElement[bool]:
    """The condition as the partial indexes spell it, so that they serve it."""
    if status == "failed":
        return FAILED
    return Generation.status.in_(IN_FLIGHT) if status == ALL_IN_FLIGHT else Generation.status == status


GENERATIONS: Listing[GenerationFilters, LoggedGeneration] = Listing(
    select(
        Generation.id,
        Generation.customer_id,
        Generation.tier,
        Generation.provider,
        Generation.model,
        Generation.kind,
        Generation.status,
        Generation.error_class,
        Generation.credits_charged,
        Generation.credits_refunded,
        Generation.cost_micros,
        Generation.latency_ms,
        Generation.late_outcome,
        Generation.charged_at,
        Generation.ended_at,
    ),
    LoggedGeneration,
    at=Generation.charged_at,
    id=Generation.id,
    equal={
        "provider": Generation.provider,
        "model": Generation.model,
        "kind": Generation.kind,
        "tier": Generation.tier,
        "error_class": Generation.error_class,
        "customer_id": Generation.customer_id,
    },
    having=_having,
    key=lambda filters: Generation.ended_at if filters.by == BY_END else Generation.charged_at,
)
"""By the instant that the filters name."""
