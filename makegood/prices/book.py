"""Reading the price book: the versions of its lines, and what has no price."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from makegood.errors import NotFound
from makegood.models import Price
from makegood.prices.lines import Line, line_of

IN_ORDER = (Price.provider, Price.model, Price.unit, Price.qualifier, Price.version)
UNKNOWN_SINCE = timedelta(days=30)
MOST_UNKNOWN = 50
UNKNOWN = text(
    """
    SELECT unknown.*, EXISTS (SELECT FROM find_price(provider, model, unit, qualifier, :at)) AS priced
      FROM (SELECT provider, model, unit, qualifier, quantity IS NULL AS unmeasured, count(*) AS generations
              FROM generations
             WHERE cost_micros IS NULL AND charged_at >= :since AND charged_at <= :at
             GROUP BY 1, 2, 3, 4, 5 ORDER BY generations DESC, 1, 2, 3, 4, 5 LIMIT :most) AS unknown
    """
)


@dataclass(frozen=True)
class Listed:
    """A line and its versions, oldest first. `withdrawn` ones were replaced by a later version."""

    line: Line
    versions: list[Price]

    def running(self, at: datetime) -> Price | None:
        """The version that holds then."""
        return next((price for price in self.held if holds(price, at)), None)

    def upcoming(self, at: datetime) -> list[Price]:
        """The versions that begin later."""
        return [price for price in self.held if price.effective_from > at]

    @property
    def held(self) -> list[Price]:
        """The versions that were not withdrawn, in the order of their time."""
        return sorted(
            (price for price in self.versions if price.withdrawn_at is None), key=lambda p: p.effective_from
        )

    @property
    def state(self) -> str:
        """What the line was like, so that nobody changes what somebody else has changed meanwhile."""
        return state(self.versions)


@dataclass(frozen=True)
class Unknown:
    """Generations whose cost is unknown: a price is missing, or (`unmeasured`) the provider has not said how much
    they used. `priced` says that the book has a price for them now."""

    provider: str
    model: str
    unit: str
    qualifier: str
    unmeasured: bool
    generations: int
    priced: bool


def holds(price: Price, at: datetime) -> bool:
    """Whether the version's period includes the instant."""
    return price.effective_from <= at and (price.effective_to is None or at < price.effective_to)


def nearest(held: Sequence[Price], at: datetime) -> Price | None:
    """Of versions in the order of their time the one to compare a price of that time with: the last that had
    begun, else the first."""
    earlier = [price for price in held if price.effective_from <= at]
    return earlier[-1] if earlier else next(iter(held), None)


def state(versions: Sequence[Price]) -> str:
    """A digest of versions in their order: another one for every change that anybody makes."""
    facts = [
        f"{price.id} {price.effective_to and price.effective_to.timestamp()} {price.withdrawn_at is not None}"
        for price in versions
    ]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def versions(session: Session, *, provider: str | None = None) -> list[Price]:
    """All versions of all lines, or of a provider's, line by line, oldest first."""
    query = select(Price).order_by(*IN_ORDER).execution_options(populate_existing=True)
    return list(session.scalars(query if provider is None else query.where(Price.provider == provider)))


def lines(session: Session, *, provider: str | None = None) -> list[Listed]:
    """All lines, or a provider's, in alphabetical order."""
    found = versions(session, provider=provider)
    return [Listed(line, list(group)) for line, group in groupby(found, key=line_of)]


def line(session: Session, wanted: Line) -> Listed:
    """A line with its versions, of which there may be none."""
    query = select(Price).where(
        Price.provider == wanted.provider,
        Price.model == wanted.model,
        Price.unit == wanted.unit,
        Price.qualifier == wanted.qualifier,
    )
    found = session.scalars(query.order_by(Price.version).execution_options(populate_existing=True))
    return Listed(wanted, list(found))


def get(session: Session, price_id: UUID) -> Price:
    """One version. Raises NotFound."""
    price = session.get(Price, price_id, populate_existing=True)
    if price is None:
        raise NotFound("There is no such price in the book.")
    return price


def unknown(session: Session, *, at: datetime) -> list[Unknown]:
    """What generations of the last 30 days have an unknown cost, the most frequent first."""
    values = {"at": at, "since": at - UNKNOWN_SINCE, "most": MOST_UNKNOWN}
    return [Unknown(**row._mapping) for row in session.execute(UNKNOWN, values)]
