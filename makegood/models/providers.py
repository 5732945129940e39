"""What operators decide about providers, and what is observed of them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, Index, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, UUIDKey, Written, foreign_text


class ProviderSwitch(Base):
    """A provider, or one of its models, that is switched off for new generations. `model` "*" is all of them."""

    __tablename__ = "provider_switches"
    __table_args__ = (
        CheckConstraint(foreign_text("provider"), name="provider"),
        CheckConstraint(foreign_text("model"), name="model"),
        CheckConstraint("char_length(reason) BETWEEN 1 AND 500", name="reason"),
    )

    provider: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    actor: Mapped[str]
    created_at: Mapped[Written]


class ProviderBalance(Base):
    """What was left at a provider when it was asked, or the `problem` why it could not be.

    `remaining` (and `limit`, where there is one) are in the provider's own `unit` such as "USD" or "credits";
    `usd_micros` is what the provider says that is worth, in micro-dollars.
    """

    __tablename__ = "provider_balances"
    __table_args__ = (
        CheckConstraint(foreign_text("provider"), name="provider"),
        CheckConstraint(
            "(problem IS NULL) = (remaining IS NOT NULL) AND (remaining IS NULL) = (unit IS NULL)", name="answered"
        ),
        # Not a number counts as greater than every number.
        CheckConstraint("abs(remaining) < 1e15", name="remaining"),
        Index("ix_provider_balances_asked", "provider", "asked_at"),
    )

    id: Mapped[UUIDKey]
    provider: Mapped[str]
    remaining: Mapped[Decimal | None] = mapped_column(Numeric)
    unit: Mapped[str | None]
    limit: Mapped[Decimal | None] = mapped_column(Numeric)
    usd_micros: Mapped[int | None]
    problem: Mapped[str | None]
    asked_at: Mapped[datetime]
