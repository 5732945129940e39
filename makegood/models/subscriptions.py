"""MRR by day: what each snapshot found, and what changed since the one before.

Amounts are exact fractions of the currency's minor unit. A day is one of the reporting time zone. What is
`estimated` was not read from subscriptions on that day, but worked out later from paid invoices.
"""

from __future__ import annotations

from datetime import date, datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import CheckConstraint, Dialect, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from makegood.models.base import Base, Count, UUIDKey

KINDS = ("new", "expansion", "contraction", "churn", "reactivation", "restated")
"""What a change of MRR is. `restated`: nothing happened at Stripe, but the figure is worked out in another way
than on the day before: the first day that was read and not estimated, or other rules."""
WHOLE = "'^-?[0-9]+(/[1-9][0-9]*)?$'"


def fraction(text: str) -> Fraction:
    """A fraction from its text: some times as fast as Fraction's own reading of any text."""
    numerator, _, denominator = text.partition("/")
    return Fraction(int(numerator), int(denominator or 1))


class Exact(TypeDecorator[Fraction]):
    """A fraction as text, such as 1999/12."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Fraction | None, dialect: Dialect) -> str | None:
        """As it is stored."""
        return None if value is None else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Fraction | None:
        """As it is read."""
        return None if value is None else fraction(value)


class MrrSnapshot(Base):
    """One day's MRR was found: at `taken_at`, from subscriptions read at `read_at`, under these `rules`.

    `subscribers` customers of Stripe had MRR above zero, `unknown` subscriptions could not be told. The day's last
    snapshot replaces those before it.
    """

    __tablename__ = "mrr_snapshots"

    day: Mapped[date] = mapped_column(primary_key=True)
    taken_at: Mapped[datetime]
    read_at: Mapped[datetime | None]
    estimated: Mapped[bool]
    rules: Mapped[dict[str, Any]]
    subscribers: Mapped[Count]
    unknown: Mapped[Count]


class MrrTotal(Base):
    """A day's MRR in one currency, and how many customers of Stripe it comes from."""

    __tablename__ = "mrr_totals"
    __table_args__ = (CheckConstraint(f"mrr ~ {WHOLE}", name="mrr"),)

    day: Mapped[date] = mapped_column(ForeignKey("mrr_snapshots.day", ondelete="CASCADE"), primary_key=True)
    currency: Mapped[str] = mapped_column(primary_key=True)
    mrr: Mapped[Fraction] = mapped_column(Exact)
    subscribers: Mapped[Count]


class MrrChange(Base):
    """What one customer of Stripe pays a month in one currency, from this day on: `after`, where it was `before`.

    A customer's MRR on a day is the `after` of the last change up to it. `at` is when the snapshot was taken, for
    an estimate the end of its day.
    """

    __tablename__ = "mrr_changes"
    __table_args__ = (
        CheckConstraint(f"before ~ {WHOLE} AND after ~ {WHOLE} AND before <> after", name="amounts"),
        CheckConstraint(
            "kind IN ('new', 'expansion', 'contraction', 'churn', 'reactivation', 'restated')", name="kind"
        ),
        Index("uq_mrr_changes_customer", "stripe_customer_id", "currency", "day", "kind", unique=True),
        Index("ix_mrr_changes_at", "at", "id"),
        Index("ix_mrr_changes_day", "day"),
    )

    id: Mapped[UUIDKey]
    day: Mapped[date] = mapped_column(ForeignKey("mrr_snapshots.day", ondelete="CASCADE"))
    at: Mapped[datetime]
    stripe_customer_id: Mapped[str]
    currency: Mapped[str]
    kind: Mapped[str]
    before: Mapped[Fraction] = mapped_column(Exact)
    after: Mapped[Fraction] = mapped_column(Exact)


class SubscriptionWorth(Base):
    """What a subscription that is active or past due is worth a month, as the last snapshot found it. `why` says
    why it is worth nothing, or why nobody knows: then `mrr` is null."""

    __tablename__ = "subscription_worths"
    __table_args__ = (
        CheckConstraint(f"mrr IS NULL OR mrr ~ {WHOLE}", name="mrr"),
        CheckConstraint("mrr IS NOT NULL OR why IS NOT NULL", name="why"),
    )

    subscription_id: Mapped[str] = mapped_column(primary_key=True)
    mrr: Mapped[Fraction | None] = mapped_column(Exact)
    why: Mapped[str | None]
