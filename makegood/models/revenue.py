"""Sums of Stripe's balance transactions, and what currencies were worth in US dollars."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, Index, Numeric, text
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, UUIDKey, Written


class BalanceSum(Base):
    """How much the balance transactions of 15 minutes of UTC came to more, or to less, than before.

    Append-only, in minor units of `currency`: a trigger adds a row for whatever changes a balance transaction
    (migrations/sql/0014_revenue.sql), so the sum over a bucket's rows is always that of its transactions, and
    writers share no row.
    """

    __tablename__ = "balance_sums"
    __table_args__ = (Index("ix_balance_sums_bucket", "bucket", "currency", "reporting_category"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    bucket: Mapped[datetime]
    currency: Mapped[str]
    reporting_category: Mapped[str]
    transactions: Mapped[int]
    amount: Mapped[int]
    fee: Mapped[int]


class ExchangeRate(Base):
    """What one unit of a currency (one euro, not one cent) was worth in US dollars on a day.

    A correction is a row of its own; the one that it takes the place of stays, with `replaced_at`.
    """

    __tablename__ = "exchange_rates"
    __table_args__ = (
        CheckConstraint("currency ~ '^[a-z]{3}$' AND currency <> 'usd'", name="currency"),
        # NaN and infinity are above every number.
        CheckConstraint("usd_per_unit > 0 AND usd_per_unit <= 1000000", name="usd_per_unit"),
        CheckConstraint("day >= '2000-01-01' AND day < '2100-01-01'", name="day"),
        CheckConstraint("char_length(source) BETWEEN 1 AND 200", name="source"),
        Index(
            "uq_exchange_rates_day", "currency", "day", unique=True, postgresql_where=text("replaced_at IS NULL")
        ),
        Index("ix_exchange_rates_listed", "day", "id"),
    )

    id: Mapped[UUIDKey]
    currency: Mapped[str]
    day: Mapped[date]
    usd_per_unit: Mapped[Decimal] = mapped_column(Numeric(20, 12))
    source: Mapped[str]
    actor: Mapped[str]
    replaced_at: Mapped[datetime | None]
    created_at: Mapped[Written]
