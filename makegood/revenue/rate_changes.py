"""The table of exchange rates: listed, added to and corrected. What is replaced stays in it, marked so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Select, cast, func, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from makegood import audit
from makegood.errors import Conflict, Invalid
from makegood.models import BalanceSum, ExchangeRate
from makegood.pages import Listing
from makegood.revenue.rates import USD, Rate

ONE_EDITOR = text("SELECT pg_advisory_xact_lock(hashtextextended('makegood: exchange rates', 0))")


@dataclass(frozen=True)
class DatedRate:
    """A rate of the table, or one that was replaced by a correction."""

    id: UUID
    currency: str
    day: date
    usd_per_unit: Decimal
    source: str
    actor: str
    created_at: datetime
    replaced_at: datetime | None


@dataclass(frozen=True)
class Change:
    """What was written: the rate, and the one of the same day that it took the place of."""

    rate: Rate
    before: Decimal | None


@dataclass(frozen=True)
class RateFilters:
    """What to list; None is no restriction."""

    currency: str | None = None


RATES: Listing[RateFilters, DatedRate] = Listing(
    select(
        ExchangeRate.id,
        ExchangeRate.currency,
        ExchangeRate.day,
        ExchangeRate.usd_per_unit,
        ExchangeRate.source,
        ExchangeRate.actor,
        ExchangeRate.created_at,
        ExchangeRate.replaced_at,
    ),
    DatedRate,
    at=cast(func.timezone("UTC", cast(ExchangeRate.day, DateTime)), DateTime(timezone=True)),
    id=ExchangeRate.id,
    equal={"currency": ExchangeRate.currency},
)
"""The latest day first, with those that were replaced."""


def every(filters: RateFilters) -> Select[*tuple[Any, ...]]:
    """All of them, by currency, the latest day first."""
    order = (ExchangeRate.currency, ExchangeRate.day.desc(), ExchangeRate.id.desc())
    return RATES.selected(filters).order_by(*order)


def newest(session: Session) -> dict[str, Rate | None]:
    """The newest rate of every currency that has one, or in which something came in: None where it has none."""
    moved = session.scalars(select(BalanceSum.currency).distinct().where(BalanceSum.currency != USD))
    rates = session.execute(
        select(ExchangeRate.currency, ExchangeRate.day, ExchangeRate.usd_per_unit)
        .ext(distinct_on(ExchangeRate.currency))
        .where(ExchangeRate.replaced_at.is_(None))
        .order_by(ExchangeRate.currency, ExchangeRate.day.desc())
    )
    found: dict[str, Rate | None] = dict.fromkeys(moved)
    found |= {row.currency: Rate(*row) for row in rates}
    return dict(sorted(found.items()))


def save(
    session: Session, rates: Sequence[Rate], *, source: str, actor: str, at: datetime, address: str | None = None
) -> list[Change]:
    """Write rates into the table: new ones, and corrections of those that it has. What it has already is left.

    Raises Invalid (no source) and Conflict (all of them stand there as they are). One audit entry for all.
    """
    source = source.strip()
    if not 1 <= len(source) <= 200 or not source.isprintable():
        raise Invalid(
            "Nothing was saved.", fields={"source": "must say where the rate is from, in up to 200 characters"}
        )
    session.execute(ONE_EDITOR)
    standing = {
        (row.currency, row.day): row for row in session.scalars(_standing({rate.currency for rate in rates}))
    }
    changes = []
    for rate in rates:
        held = standing.get((rate.currency, rate.day))
        if held is None or held.usd_per_unit != rate.usd_per_unit:
            changes.append(Change(rate, held.usd_per_unit if held else None))
    if not changes:
        raise Conflict("The table says all of this already. Nothing was saved.")
    replaced = [standing[key].id for one in changes if (key := (one.rate.currency, one.rate.day)) in standing]
    session.execute(update(ExchangeRate).where(ExchangeRate.id.in_(replaced)).values(replaced_at=at))
    for one in changes:
        session.add(
            ExchangeRate(
                currency=one.rate.currency,
                day=one.rate.day,
                usd_per_unit=one.rate.usd_per_unit,
                source=source,
                actor=actor,
            )
        )
    session.flush()
    audit.record(
        session,
        actor=actor,
        action="exchange_rates.saved",
        subject="exchange-rates",
        details={"source": source, "rates": [_told(one) for one in changes[:100]], "in_all": len(changes)},
        address=address,
    )
    return changes


def _standing(currencies: set[str]) -> Select[ExchangeRate]:
    return select(ExchangeRate).where(ExchangeRate.currency.in_(currencies), ExchangeRate.replaced_at.is_(None))


def _told(change: Change) -> dict[str, str | None]:
    rate = change.rate
    before = None if change.before is None else f"{change.before:f}"
    return {
        "currency": rate.currency,
        "day": rate.day.isoformat(),
        "before": before,
        "after": f"{rate.usd_per_unit:f}",
    }
