"""Tiers, customers and their balances."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, literal_column
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, Count, Written, foreign_text


class Tier(Base):
    """What a customer pays for: how many credits the monthly allowance grants."""

    __tablename__ = "tiers"
    __table_args__ = (CheckConstraint("monthly_allowance >= 0", name="monthly_allowance"),)

    name: Mapped[str] = mapped_column(primary_key=True)
    monthly_allowance: Mapped[int]
    position: Mapped[int]


class Customer(Base):
    """An end user of the platform. The id is the platform's own."""

    __tablename__ = "customers"
    __table_args__ = (
        CheckConstraint(foreign_text("id"), name="id"),
        # Beginnings are found whatever the database's collation.
        Index(
            "ix_customers_email",
            literal_column("lower(email)").label("address"),
            postgresql_ops={"address": "text_pattern_ops"},
        ),
        Index("ix_customers_beginning", "id", postgresql_ops={"id": "text_pattern_ops"}),
        Index("ix_customers_newest", "created_at", "id"),
        Index("ix_customers_tier", "tier"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    email: Mapped[str | None]
    tier: Mapped[str] = mapped_column(ForeignKey("tiers.name"))
    created_at: Mapped[Written]
    updated_at: Mapped[Written]


class Balance(Base):
    """The credits of one customer now. Only the ledger's trigger changes `balance` and `entries`.

    The last charged day (reporting time zone) lets a charge mark the customer as active on a new day or month.
    """

    __tablename__ = "balances"
    __table_args__ = (CheckConstraint("balance >= 0", name="balance"),)

    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"), primary_key=True)
    balance: Mapped[Count]
    entries: Mapped[Count]
    last_charged_day: Mapped[date | None]
    updated_at: Mapped[datetime | None]
