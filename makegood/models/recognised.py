"""Rollups of paid credits: what was sold, and what became of it, by day and by the price that was paid."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, Count

CREDIT_MEASURES = ("sold", "used", "expired", "clawed", "adjusted")
"""What becomes of paid credits, in this order: `makegood.revenue.lots` says what each means."""


class CreditMeasures:
    """Credits that cost `price_amount` / `price_credits` minor units of `currency` each, in lowest terms.

    What is left of them is `sold` less all the others.
    """

    currency: Mapped[str] = mapped_column(primary_key=True)
    price_amount: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    price_credits: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sold: Mapped[Count]
    used: Mapped[Count]
    expired: Mapped[Count]
    clawed: Mapped[Count]
    adjusted: Mapped[Count]


class RecognisedDay(CreditMeasures, Base):
    """Paid credits of one day of the reporting time zone. Only what was used has a provider, model and tier."""

    __tablename__ = "recognised_days"

    day: Mapped[date] = mapped_column(primary_key=True, sort_order=-4)
    provider: Mapped[str] = mapped_column(primary_key=True, sort_order=-3)
    model: Mapped[str] = mapped_column(primary_key=True, sort_order=-2)
    tier: Mapped[str] = mapped_column(primary_key=True, sort_order=-1)


class RecognisedCustomerDay(CreditMeasures, Base):
    """The same by customer."""

    __tablename__ = "recognised_customer_days"
    __table_args__ = (
        Index("ix_recognised_customer_days_foreign", "day", postgresql_where=text("currency <> 'usd'")),
    )

    day: Mapped[date] = mapped_column(primary_key=True, sort_order=-2)
    customer_id: Mapped[str] = mapped_column(primary_key=True, sort_order=-1)


class RecognisedCustomerMonth(CreditMeasures, Base):
    """The same of one month of the reporting time zone, in US dollars: others have a rate for each day."""

    __tablename__ = "recognised_customer_months"
    __table_args__ = (CheckConstraint("currency = 'usd'", name="currency"),)

    month: Mapped[date] = mapped_column(primary_key=True, sort_order=-2)
    customer_id: Mapped[str] = mapped_column(primary_key=True, sort_order=-1)


class RecognisedCustomerQuarter(CreditMeasures, Base):
    """The same of a quarter of a month (`calendars.quarter_of`), by its first day."""

    __tablename__ = "recognised_customer_quarters"
    __table_args__ = (CheckConstraint("currency = 'usd'", name="currency"),)

    quarter: Mapped[date] = mapped_column(primary_key=True, sort_order=-2)
    customer_id: Mapped[str] = mapped_column(primary_key=True, sort_order=-1)


class RatedQuarter(Base):
    """A quarter of a month whose credits in other currencies are kept at the rates that `rates` is the fingerprint
    of. Not `complete`: some of them had no rate, and none are kept."""

    __tablename__ = "rated_quarters"

    quarter: Mapped[date] = mapped_column(primary_key=True)
    rates: Mapped[str]
    complete: Mapped[bool]


class RatedCustomerQuarter(Base):
    """What became revenue of a customer's credits that cost so much of `currency` each: credits times the
    micro-dollars that a minor unit was worth on their day."""

    __tablename__ = "rated_customer_quarters"

    quarter: Mapped[date] = mapped_column(primary_key=True)
    customer_id: Mapped[str] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(primary_key=True)
    price_amount: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    price_credits: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    micros: Mapped[Decimal]


class RecognisedProgress(Base):
    """Up to which ledger row of a customer who has bought credits, by its number, the rollups count.

    A trigger adds it with the first purchase.
    """

    __tablename__ = "recognised_progress"

    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"), primary_key=True)
    entries: Mapped[Count]


class RecognisedState(Base):
    """In which time zone's days the rollups are. One row."""

    __tablename__ = "recognised_state"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    timezone: Mapped[str]
