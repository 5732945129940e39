"""What customers pay: credits per generation of a model, from a date on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood import audit
from makegood.errors import Conflict, Invalid
from makegood.grants import MAX_CREDITS
from makegood.models import CreditPrice
from makegood.prices.lines import PROVIDERS

MOST_TEXT = 200


@dataclass(frozen=True)
class Priced:
    """A model and its prices in credits, the latest first."""

    provider: str
    model: str
    prices: list[CreditPrice]

    def running(self, at: datetime) -> CreditPrice | None:
        """The price that holds then."""
        return next((price for price in self.prices if price.effective_from <= at), None)

    def upcoming(self, at: datetime) -> list[CreditPrice]:
        """The prices that hold later, the next one first."""
        return [price for price in reversed(self.prices) if price.effective_from > at]


def listed(session: Session, *, provider: str | None = None) -> list[Priced]:
    """Every model with a price, or a provider's."""
    query = select(CreditPrice).order_by(
        CreditPrice.provider, CreditPrice.model, CreditPrice.effective_from.desc()
    )
    if provider is not None:
        query = query.where(CreditPrice.provider == provider)
    rows = session.scalars(query.execution_options(populate_existing=True))
    return [
        Priced(provider, model, list(prices))
        for (provider, model), prices in groupby(rows, key=lambda price: (price.provider, price.model))
    ]


def every(provider: str | None = None) -> Select[*tuple[Any, ...]]:
    """Every price in credits, by provider and model, the latest first."""
    query = select(*CreditPrice.__table__.columns).order_by(
        CreditPrice.provider, CreditPrice.model, CreditPrice.effective_from.desc()
    )
    return query.where(CreditPrice.provider == provider) if provider is not None else query


def add(
    session: Session,
    provider: str,
    model: str,
    credits: int | None,
    *,
    start: datetime,
    actor: str,
    at: datetime,
    address: str | None = None,
) -> CreditPrice:
    """A price from `start` on, which is not before `at`: what customers paid stays. Audited with the one before.

    Raises Invalid, and Conflict (there is a price from that very instant on).
    """
    problems = {}
    if provider not in PROVIDERS:
        problems["provider"] = f"must be one of {', '.join(PROVIDERS)}"
    if not 1 <= len(model) <= MOST_TEXT or not model.isprintable():
        problems["model"] = f"must have 1 to {MOST_TEXT} characters"
    if credits is None or not 1 <= credits <= MAX_CREDITS:
        problems["credits"] = f"must be a whole number from 1 to {MAX_CREDITS:,}"
    if start < at:
        problems["effective_from"] = "must not lie in the past"
    if problems:
        raise Invalid("The price was not saved.", fields=problems)
    before = session.scalar(
        select(CreditPrice.credits)
        .where(CreditPrice.provider == provider, CreditPrice.model == model, CreditPrice.effective_from <= start)
        .order_by(CreditPrice.effective_from.desc())
        .limit(1)
    )
    added: CreditPrice | None = session.scalar(
        insert(CreditPrice)
        .values(provider=provider, model=model, effective_from=start, credits=credits)
        .on_conflict_do_nothing()
        .returning(CreditPrice)
    )
    if added is None:
        raise Conflict("There is a price from that instant on already. Nothing was saved. Choose another one.")
    audit.record(
        session,
        actor=actor,
        action="credit_price.added",
        subject=f"credit-price:{provider}/{model}",
        details={"before": before, "after": credits, "effective_from": start.isoformat()},
        address=address,
    )
    return added
