"""What providers charge us (USD) and what we charge customers (credits), by date; what changed a cost."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, Count, UUIDKey, Written, foreign_text

CERTAINTIES = ("agreed", "documented", "reported", "inferred", "unverified")
"""How sure a price is: in our contract, on the provider's own page, at third parties, concluded, a guess."""


class Price(Base):
    """One version of a line of the price book. It never changes but for its end, and being withdrawn.

    From `effective_from` until `effective_to`, `per` units of a model ("*": any of the provider's) in the tier
    `qualifier` ("": any) cost `amount_micros` millionths of a US dollar or, in `currency` credits, millionths of a
    provider's credit that is worth `rate_micros` micro-dollars. `unit_price_micros` is that in micro-dollars.
    A line's versions are numbered; those not withdrawn never overlap (migrations/sql/0002_costs.sql).
    """

    __tablename__ = "prices"
    __table_args__ = (
        CheckConstraint("unit_price_micros BETWEEN 0 AND 1000000000", name="unit_price_micros"),
        CheckConstraint(foreign_text("provider"), name="provider"),
        CheckConstraint(foreign_text("model"), name="model"),
        CheckConstraint(foreign_text("unit"), name="unit"),
        CheckConstraint("char_length(qualifier) <= 200", name="qualifier"),
        CheckConstraint("per BETWEEN 1 AND 1000000000", name="per"),
        CheckConstraint("amount_micros BETWEEN 0 AND 1000000000000", name="amount_micros"),
        CheckConstraint("rate_micros BETWEEN 1 AND 1000000000", name="rate_micros"),
        CheckConstraint(
            "currency = 'USD' AND rate_micros IS NULL AND unit_price_micros = amount_micros OR "
            "currency = 'credits' AND rate_micros IS NOT NULL "
            "AND unit_price_micros = round(amount_micros::numeric * rate_micros / 1000000)",
            name="currency",
        ),
        CheckConstraint(
            "effective_from >= '2000-01-01T00:00:00Z' AND effective_from < '2100-01-01T00:00:00Z'",
            name="effective_from",
        ),
        CheckConstraint(
            "effective_to > effective_from AND effective_to < '2100-01-01T00:00:00Z'", name="effective_to"
        ),
        CheckConstraint("char_length(source) BETWEEN 1 AND 500", name="source"),
        CheckConstraint(
            "certainty IN ('agreed', 'documented', 'reported', 'inferred', 'unverified')", name="certainty"
        ),
        CheckConstraint("version >= 1", name="version"),
        Index("uq_prices_version", "provider", "model", "unit", "qualifier", "version", unique=True),
        Index(
            "ix_prices_current",
            "provider",
            "unit",
            "model",
            "qualifier",
            "effective_from",
            postgresql_where=text("withdrawn_at IS NULL"),
        ),
    )

    id: Mapped[UUIDKey]
    provider: Mapped[str]
    model: Mapped[str]
    unit: Mapped[str]
    qualifier: Mapped[str] = mapped_column(server_default=text("''"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    per: Mapped[int] = mapped_column(server_default=text("1"))
    currency: Mapped[str] = mapped_column(server_default=text("'USD'"))
    amount_micros: Mapped[int]
    rate_micros: Mapped[int | None]
    unit_price_micros: Mapped[int]
    effective_from: Mapped[datetime]
    effective_to: Mapped[datetime | None]
    source: Mapped[str]
    certainty: Mapped[str] = mapped_column(server_default=text("'unverified'"))
    actor: Mapped[str] = mapped_column(server_default=text("'makegood'"))
    withdrawn_at: Mapped[datetime | None]
    created_at: Mapped[Written]


class CreditPrice(Base):
    """How many credits one generation of a model costs the customer, from `effective_from` on."""

    __tablename__ = "credit_prices"
    __table_args__ = (
        CheckConstraint("credits > 0", name="credits"),
        CheckConstraint(foreign_text("provider"), name="provider"),
        CheckConstraint(foreign_text("model"), name="model"),
    )

    provider: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    effective_from: Mapped[datetime] = mapped_column(primary_key=True)
    credits: Mapped[int]


class CostAdjustment(Base):
    """A change of a generation's cost that an operator made: a recompute, or a bill's difference. Append-only.

    `reference` is what it follows from: the id of the bill's line, or of the recompute.
    """

    __tablename__ = "cost_adjustments"
    __table_args__ = (
        CheckConstraint("reason IN ('recompute', 'bill')", name="reason"),
        CheckConstraint("(from_micros IS NULL) = (from_source = 'unknown')", name="from_micros"),
        CheckConstraint("(to_micros IS NULL) = (to_source = 'unknown')", name="to_micros"),
        Index("uq_cost_adjustments_reference", "reason", "reference", "generation_id", unique=True),
        Index("ix_cost_adjustments_generation", "generation_id", "id"),
    )

    id: Mapped[UUIDKey]
    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generations.id"))
    reason: Mapped[str]
    reference: Mapped[UUID]
    from_micros: Mapped[int | None]
    from_source: Mapped[str]
    to_micros: Mapped[int | None]
    to_source: Mapped[str]
    actor: Mapped[str]
    created_at: Mapped[Written]


class Recompute(Base):
    """A request to bring the costs of past generations in line with the price book.

    Of a provider's generations (of one model, or of all: null) charged from `since` until `until`, `generations`
    were previewed to change by `change_micros` in all; `book` stands for the provider's prices then. The worker
    counts what is `done`, in the order of time: `reached` is how far it came. It ended as finished, or because
    the book had changed meanwhile.
    """

    __tablename__ = "recomputes"
    __table_args__ = (
        CheckConstraint("outcome IN ('finished', 'book_changed')", name="outcome"),
        CheckConstraint("(outcome IS NULL) = (ended_at IS NULL)", name="ended"),
        CheckConstraint("since < until", name="until"),
        CheckConstraint("generations > 0", name="generations"),
        Index("uq_recomputes_running", "provider", unique=True, postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[UUIDKey]
    provider: Mapped[str]
    model: Mapped[str | None]
    since: Mapped[datetime]
    until: Mapped[datetime]
    generations: Mapped[int]
    change_micros: Mapped[int]
    book: Mapped[str]
    reached: Mapped[datetime | None]
    done: Mapped[Count]
    done_micros: Mapped[Count]
    outcome: Mapped[str | None]
    actor: Mapped[str]
    ended_at: Mapped[datetime | None]
    created_at: Mapped[Written]
