"""The balance transactions behind the figures: listed newest first, with whose payment each is about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select, union_all
from sqlalchemy.orm import Session

from makegood.models import BalanceTransaction, Charge, Dispute, PaymentRefund
from makegood.pages import Listing
from makegood.revenue import categories

FEES, NET = "fees", "net"
FIGURES = (
    categories.GROSS,
    categories.REFUNDS,
    categories.DISPUTES,
    FEES,
    categories.ACCOUNT_FEES,
    categories.TAX_ON_FEES,
    NET,
    categories.MOVED,
    categories.OTHER,
)
"""What the list can be narrowed to: the rows that a figure is made of."""


@dataclass(frozen=True)
class TransactionFilters:
    """What to list; None is no restriction. `source` is the id of Stripe's object that it is about; `among` are
    categories. The instants are half open: [start, end)."""

    figure: str | None = None
    category: str | None = None
    currency: str | None = None
    customer_id: str | None = None
    source: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    among: tuple[str, ...] | None = None


@dataclass(frozen=True)
class LoggedTransaction:
    """A balance transaction, in minor units of `currency`; the charge that it is about, and whose that is."""

    id: str
    created_at: datetime
    type: str
    category: str
    currency: str
    amount: int
    fee: int
    net: int
    source: str | None
    status: str
    available_on: datetime
    livemode: bool
    description: str | None
    charge_id: str | None
    customer_id: str | None

    @property
    def figure(self) -> str:
        """The figure that its amount belongs to."""
        return categories.figure_of(self.category)


_ABOUT = func.coalesce(PaymentRefund.charge_id, Dispute.charge_id, BalanceTransaction.source)


def sharpened(session: Session, filters: TransactionFilters) -> TransactionFilters:
    """The same filters, easier to follow: what is of no known category is mostly nothing, and is not looked for in
    every row."""
    if filters.figure != categories.OTHER:
        return filters
    return replace(filters, among=tuple(_unknown(session)))


def _unknown(session: Session) -> list[str]:
    """The reporting categories that are not known here, each category found with one look into the index."""
    category = BalanceTransaction.reporting_category
    found = select(func.min(category).label("name")).cte("categories", recursive=True)
    following = select(func.min(category)).where(category > found.c.name).scalar_subquery()
    found = found.union_all(select(following).where(found.c.name.is_not(None)))
    names = session.scalars(select(found.c.name).where(found.c.name.is_not(None)))
    return [name for name in names if categories.figure_of(name) == categories.OTHER]


def _of_figure(figure: str) -> ColumnElement[bool]:
    """The transactions that a figure is made of."""
    category = BalanceTransaction.reporting_category.expression
    if figure == FEES:
        return BalanceTransaction.fee != 0
    if figure == NET:
        in_net = [name for name, of in categories.FIGURES.items() if of != categories.MOVED]
        return or_(category.in_(in_net), BalanceTransaction.fee != 0)
    return categories.belongs(category, figure)


def _sources_of(customer_id: str) -> Select[Any]:
    """The charges of one of our customers, and what came back of them."""
    charges = select(Charge.id).where(Charge.customer_id == customer_id)
    return select(
        union_all(
            charges,
            select(PaymentRefund.id).where(PaymentRefund.charge_id.in_(charges)),
            select(Dispute.id).where(Dispute.charge_id.in_(charges)),
        ).subquery()
    )


def _having(filters: TransactionFilters) -> Iterator[ColumnElement[bool]]:
    if filters.figure in FIGURES:
        yield _of_figure(filters.figure)
    if filters.customer_id is not None:
        yield BalanceTransaction.source.in_(_sources_of(filters.customer_id))
    if filters.among is not None:
        yield BalanceTransaction.reporting_category.in_(filters.among)


TRANSACTIONS: Listing[TransactionFilters, LoggedTransaction] = Listing(
    select(
        BalanceTransaction.id,
        BalanceTransaction.created_at,
        BalanceTransaction.type,
        BalanceTransaction.reporting_category.label("category"),
        BalanceTransaction.currency,
        BalanceTransaction.amount,
        BalanceTransaction.fee,
        BalanceTransaction.net,
        BalanceTransaction.source,
        BalanceTransaction.status,
        BalanceTransaction.available_on,
        BalanceTransaction.livemode,
        BalanceTransaction.body["description"].astext.label("description"),
        Charge.id.label("charge_id"),
        Charge.customer_id,
    )
    .outerjoin(PaymentRefund, PaymentRefund.id == BalanceTransaction.source)
    .outerjoin(Dispute, Dispute.id == BalanceTransaction.source)
    .outerjoin(Charge, Charge.id == _ABOUT),
    LoggedTransaction,
    at=BalanceTransaction.created_at,
    id=BalanceTransaction.id,
    equal={
        "category": BalanceTransaction.reporting_category,
        "currency": BalanceTransaction.currency,
        "source": BalanceTransaction.source,
    },
    having=_having,
)
"""By when they were created."""
