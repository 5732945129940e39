"""What was refunded in a range: by reason and origin, by provider and model, and by day, beside the period before.

A refund that was reversed no longer counts on its day: all figures are net.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select
from sqlalchemy.orm import Session

from makegood.ranges import Range, Step
from makegood.rollup_tables import REASONS
from makegood.stats import snapshot, sums
from makegood.terms import Terms

REASON = ("origin", "reason")
MODEL = ("provider", "model")
STEP = (sums.STEP,)


@dataclass(frozen=True)
class RefundFilters:
    """What to count; None is no restriction."""

    provider: str | None = None
    model: str | None = None
    reason: str | None = None
    origin: str | None = None


@dataclass(frozen=True)
class Refunded:
    """Refunds, the credits they returned, and the cost of what they gave back (micro-dollars)."""

    refunds: int = 0
    credits_refunded: int = 0
    loss_micros: int = 0

    @classmethod
    def total(cls, parts: Iterable[Refunded]) -> Refunded:
        """The sum of parts."""
        listed = list(parts)
        return cls(*(sum(getattr(part, field.name) for part in listed) for field in fields(cls)))


@dataclass(frozen=True)
class RefundLine:
    """Refunds of one reason and origin, or of one model of a provider, in the range and in the period before."""

    keys: tuple[str, ...]
    now: Refunded
    before: Refunded


@dataclass(frozen=True)
class RefundStep:
    """The refunds of one step of the range: in all, automatic, and by operators."""

    step: Step
    total: Refunded
    automatic: Refunded

    @property
    def by_hand(self) -> int:
        """Refunds that operators gave, singly or in bulk."""
        return self.total.refunds - self.automatic.refunds


@dataclass(frozen=True)
class RefundReport:
    """The refunds of a range. Lines begin with what returned most credits."""

    as_of: datetime
    total: Refunded
    before: Refunded
    reasons: list[RefundLine]
    models: list[RefundLine]
    steps: list[RefundStep]


def report(session: Session, terms: Terms, asked: Range, filters: RefundFilters) -> RefundReport:
    """The page. The caller has begun a snapshot."""
    spans = (asked, asked.previous())
    reasons = _lines(session, terms, spans, filters, REASON)
    return RefundReport(
        asked.now,
        Refunded.total(line.now for line in reasons),
        Refunded.total(line.before for line in reasons),
        reasons,
        _lines(session, terms, spans, filters, MODEL),
        _steps(session, terms, asked, filters),
    )


def by(
    session: Session, terms: Terms, asked: Range, filters: RefundFilters, keys: tuple[str, ...]
) -> Select[*tuple[Any, ...]]:
    """`refunds`, `credits_refunded` and `loss_micros` by these keys, most credits first."""
    parts = sums.cut(asked, terms.timezone, keys)
    query = sums.totals(REASONS, snapshot.state(session, terms.timezone), parts, keys, vars(filters))
    columns = query.selected_columns
    moved = (columns["refunds"] != 0) | (columns["credits_refunded"] != 0) | (columns["loss_micros"] != 0)
    return query.where(moved).order_by(columns["credits_refunded"].desc(), *(columns[key] for key in keys))


def by_step(session: Session, terms: Terms, asked: Range, filters: RefundFilters) -> Select[*tuple[Any, ...]]:
    """The same of every step, with `starts_at`."""
    query = by(session, terms, asked, filters, STEP)
    measures = tuple(field.name for field in fields(Refunded))
    return sums.every_step(query, sums.cut(asked, terms.timezone, STEP), measures)


def _read(session: Session, query: Select[*tuple[Any, ...]]) -> dict[tuple[Any, ...], Refunded]:
    keys = len(query.selected_columns) - len(REASONS.measures)
    return {tuple(row)[:keys]: _refunded(row) for row in session.execute(query)}


def _refunded(row: Row[Any]) -> Refunded:
    return Refunded(row.refunds, row.credits_refunded, row.loss_micros)


def _lines(
    session: Session, terms: Terms, spans: tuple[Range, Range], filters: RefundFilters, keys: tuple[str, ...]
) -> list[RefundLine]:
    now, before = (_read(session, by(session, terms, span, filters, keys)) for span in spans)
    lines = [
        RefundLine(key, now.get(key, Refunded()), before.get(key, Refunded())) for key in sorted({*now, *before})
    ]
    return sorted(lines, key=lambda line: -line.now.credits_refunded)


def _steps(session: Session, terms: Terms, asked: Range, filters: RefundFilters) -> list[RefundStep]:
    found = _read(session, by(session, terms, asked, filters, (*STEP, "origin")))
    return [
        RefundStep(
            step,
            Refunded.total(refunded for (at, _), refunded in found.items() if at == number),
            found.get((number, "automatic"), Refunded()),
        )
        for number, step in enumerate(asked.steps())
    ]
