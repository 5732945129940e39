"""What providers charge us (USD) and what we charge customers (credits), by effective date."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, UUIDKey, Written, foreign_text


class Price(Base):
    """A line of the price book: one unit of a model costs `unit_price_micros` from `effective_from` on."""

    __tablename__ = "prices"
    __table_args__ = (
        CheckConstraint("unit_price_micros >= 0", name="unit_price_micros"),
        CheckConstraint(foreign_text("provider"), name="provider"),
        CheckConstraint(foreign_text("model"), name="model"),
        Index("uq_prices_line", "provider", "model", "unit", "effective_from", unique=True),
    )

    id: Mapped[UUIDKey]
    provider: Mapped[str]
    model: Mapped[str]
    unit: Mapped[str]
    unit_price_micros: Mapped[int]
    effective_from: Mapped[datetime]
    source: Mapped[str]
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
