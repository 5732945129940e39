"""Events, and rollups: their sums in 15-minute buckets and hours of UTC, and in days and months of the reporting
time zone."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import XID8, Base, Count, Written

MEASURES = (
    "generations",
    "succeeded",
    "failed",
    "cancelled",
    "refunds",
    "active_day",
    "active_month",
    "credits_charged",
    "credits_refunded",
    "cost_micros",
    "unknown_costs",
    "loss_micros",
    "latency_ms",
)
"""The columns that events, buckets and days have in common, in this order."""
REASON_MEASURES = ("failed", "refunds", "credits_refunded", "loss_micros")
"""What is summed by error class or by reason of the refund."""
CUSTOMER_MEASURES = (
    "generations",
    "succeeded",
    "failed",
    "cancelled",
    "refunds",
    "credits_charged",
    "credits_refunded",
    "cost_micros",
    "unknown_costs",
    "loss_micros",
)
"""What is summed by customer."""


class Measures:
    """What events change: counts, credits, micro-dollars and milliseconds (of succeeded generations)."""

    generations: Mapped[Count]
    succeeded: Mapped[Count]
    failed: Mapped[Count]
    cancelled: Mapped[Count]
    refunds: Mapped[Count]
    active_day: Mapped[Count]
    active_month: Mapped[Count]
    credits_charged: Mapped[Count]
    credits_refunded: Mapped[Count]
    cost_micros: Mapped[Count]
    unknown_costs: Mapped[Count]
    loss_micros: Mapped[Count]
    latency_ms: Mapped[Count]


class Event(Measures, Base):
    """One append-only row for each thing that changes a figure; what the rollups are folded from.

    `xid` is the writing transaction. `at` is the instant under which the figures count: a cost counts
    when its generation was charged, a failure when it ended, a refund when it was issued.
    Amounts are deltas: credits, micro-dollars, milliseconds, or counts.
    `reason` is the error class of a failure, or the reason of the refund whose figures it moves; then `origin` is
    that refund's.
    """

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_at", "at"),)

    # One index serves identity and folds: writers pay for each.
    xid: Mapped[str] = mapped_column(XID8, primary_key=True, server_default=text("pg_current_xact_id()"))
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    at: Mapped[datetime]
    type: Mapped[str]
    customer_id: Mapped[str]
    generation_id: Mapped[UUID | None]
    tier: Mapped[str]
    provider: Mapped[str] = mapped_column(server_default="")
    model: Mapped[str] = mapped_column(server_default="")
    kind: Mapped[str] = mapped_column(server_default="")
    reason: Mapped[str] = mapped_column(server_default="")
    origin: Mapped[str] = mapped_column(server_default="")
    customers: Mapped[Count]
    holders: Mapped[Count]
    credits: Mapped[Count]


class Bucket(Measures, Base):
    """Figures of 15 minutes of UTC."""

    __tablename__ = "rollup_buckets"

    bucket: Mapped[datetime] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    tier: Mapped[str] = mapped_column(primary_key=True)
    last_charged_at: Mapped[datetime | None]


class CoarseMeasures(Measures):
    """Figures without the models and kinds: what the dashboard reads."""

    provider: Mapped[str] = mapped_column(primary_key=True)
    tier: Mapped[str] = mapped_column(primary_key=True)
    last_charged_at: Mapped[datetime | None]


class QuarterHour(CoarseMeasures, Base):
    """Figures of 15 minutes of UTC by provider and tier."""

    __tablename__ = "rollup_quarter_hours"

    bucket: Mapped[datetime] = mapped_column(primary_key=True, sort_order=-1)


class Hour(CoarseMeasures, Base):
    """The same of an hour of UTC: what charts in other time zones read."""

    __tablename__ = "rollup_hours"

    hour: Mapped[datetime] = mapped_column(primary_key=True, sort_order=-1)


class ProviderDay(CoarseMeasures, Base):
    """The same of one day of the reporting time zone."""

    __tablename__ = "rollup_provider_days"

    day: Mapped[date] = mapped_column(primary_key=True, sort_order=-1)


class Day(Measures, Base):
    """Figures of one day of the reporting time zone."""

    __tablename__ = "rollup_days"

    day: Mapped[date] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    tier: Mapped[str] = mapped_column(primary_key=True)
    last_charged_at: Mapped[datetime | None]


class ReasonMeasures:
    """Failures by error class, and refunds by reason and origin: counts, credits, micro-dollars."""

    provider: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(primary_key=True)
    origin: Mapped[str] = mapped_column(primary_key=True)
    failed: Mapped[Count]
    refunds: Mapped[Count]
    credits_refunded: Mapped[Count]
    loss_micros: Mapped[Count]


class ReasonBucket(ReasonMeasures, Base):
    """Failures and refunds of 15 minutes of UTC. A row without an origin is of failures."""

    __tablename__ = "rollup_reason_buckets"

    bucket: Mapped[datetime] = mapped_column(primary_key=True, sort_order=-1)


class ReasonDay(ReasonMeasures, Base):
    """The same of one day of the reporting time zone."""

    __tablename__ = "rollup_reason_days"

    day: Mapped[date] = mapped_column(primary_key=True, sort_order=-1)


class LatencyMeasures:
    """How many succeeded within a bin of latency: a histogram whose bins are 6 % wide (`latency_bin`)."""

    provider: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    bin: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    succeeded: Mapped[Count]


class LatencyBucket(LatencyMeasures, Base):
    """Latencies of 15 minutes of UTC."""

    __tablename__ = "rollup_latency_buckets"

    bucket: Mapped[datetime] = mapped_column(primary_key=True, sort_order=-1)


class LatencyQuarterHour(Base):
    """Latencies of 15 minutes of UTC, of all providers."""

    __tablename__ = "rollup_latency_quarter_hours"

    bucket: Mapped[datetime] = mapped_column(primary_key=True)
    bin: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    succeeded: Mapped[Count]


class LatencyHour(Base):
    """Latencies of an hour of UTC, of all providers."""

    __tablename__ = "rollup_latency_hours"

    hour: Mapped[datetime] = mapped_column(primary_key=True)
    bin: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    succeeded: Mapped[Count]


class LatencyTotal(Base):
    """Latencies of one day of the reporting time zone, of all providers."""

    __tablename__ = "rollup_latency_totals"

    day: Mapped[date] = mapped_column(primary_key=True)
    bin: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    succeeded: Mapped[Count]


class LatencyDay(LatencyMeasures, Base):
    """Latencies of one day of the reporting time zone."""

    __tablename__ = "rollup_latency_days"

    day: Mapped[date] = mapped_column(primary_key=True, sort_order=-1)


class CustomerMeasures:
    """What one customer used: counts, credits, micro-dollars."""

    customer_id: Mapped[str] = mapped_column(primary_key=True)
    generations: Mapped[Count]
    succeeded: Mapped[Count]
    failed: Mapped[Count]
    cancelled: Mapped[Count]
    refunds: Mapped[Count]
    credits_charged: Mapped[Count]
    credits_refunded: Mapped[Count]
    cost_micros: Mapped[Count]
    unknown_costs: Mapped[Count]
    loss_micros: Mapped[Count]


class CustomerDay(CustomerMeasures, Base):
    """One customer's figures of one day of the reporting time zone."""

    __tablename__ = "rollup_customer_days"
    __table_args__ = (Index("ix_rollup_customer_days_day", "day"),)

    day: Mapped[date] = mapped_column(primary_key=True, sort_order=-1)


class CustomerQuarter(CustomerMeasures, Base):
    """One customer's figures of a quarter of a month (`calendars.quarter_of`), by its first day.

    `payer` is that of `models.payments.Payer.flagged`, so that those who pay are read by themselves.
    """

    __tablename__ = "rollup_customer_quarters"
    __table_args__ = (
        Index("ix_rollup_customer_quarters_quarter", "quarter"),
        Index("ix_rollup_customer_quarters_payer", "quarter", postgresql_where=text("payer")),
    )

    quarter: Mapped[date] = mapped_column(primary_key=True, sort_order=-1)
    payer: Mapped[bool] = mapped_column(server_default=text("false"))


class CustomerMonth(CustomerMeasures, Base):
    """One customer's figures of one month, by its first day, of the reporting zone; `payer` as in quarters."""

    __tablename__ = "rollup_customer_months"
    __table_args__ = (
        Index("ix_rollup_customer_months_month", "month"),
        Index("ix_rollup_customer_months_payer", "month", postgresql_where=text("payer")),
    )

    month: Mapped[date] = mapped_column(primary_key=True, sort_order=-1)
    payer: Mapped[bool] = mapped_column(server_default=text("false"))


class TierTotal(Base):
    """Customers of a tier now: how many, how many hold credits, and how many credits they hold."""

    __tablename__ = "rollup_tiers"

    tier: Mapped[str] = mapped_column(primary_key=True)
    customers: Mapped[Count]
    holders: Mapped[Count]
    credits: Mapped[Count]


class RollupState(Base):
    """Up to which transaction events are folded, for which server and which time zone. One row."""

    __tablename__ = "rollup_state"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    watermark: Mapped[str] = mapped_column(XID8)
    system_identifier: Mapped[int]
    timezone: Mapped[str]
    folded_at: Mapped[Written]
