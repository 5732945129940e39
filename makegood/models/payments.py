"""Payments at Stripe with whose they are and what they bought: a rollup of what several of Stripe's lists say. And
who pays, with what by month."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, Count


class Payment(Base):
    """The balance transaction of a charge, or of a refund or dispute of one, by its id.

    `source` is what moved the money at Stripe, `customer_id` whose charge it is, and `for_credits` whether that
    charge bought credits here. Amounts are minor units of `currency`.
    """

    __tablename__ = "payments"
    __table_args__ = (
        Index("ix_payments_created_at", "created_at"),
        Index("ix_payments_source", "source"),
        Index("ix_payments_customer", "customer_id", postgresql_where=text("customer_id IS NOT NULL")),
        Index("ix_payments_unlinked", "created_at", postgresql_where=text("customer_id IS NULL")),
        Index("ix_payments_foreign", "created_at", postgresql_where=text("currency <> 'usd'")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str]
    created_at: Mapped[datetime]
    currency: Mapped[str]
    amount: Mapped[int]
    fee: Mapped[int]
    customer_id: Mapped[str | None]
    for_credits: Mapped[bool]


class PaymentDue(Base):
    """Something changed that payments are made of: `key` is the Stripe id by which they are found.

    Triggers add it with the change (migrations/sql/0019_payments.sql): whoever sees one sees the other.
    """

    __tablename__ = "payments_due"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    key: Mapped[str]


class PaymentMonth(Base):
    """What a customer's payments of one month of UTC come to, in minor units of `currency`: how many `payments`
    there are, the `cash` that moved, the `fees` that Stripe kept, and the cash that bought no credits, `direct`.
    Triggers on payments keep it."""

    __tablename__ = "payment_months"

    month: Mapped[date] = mapped_column(primary_key=True)
    customer_id: Mapped[str] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(primary_key=True)
    payments: Mapped[Count]
    cash: Mapped[Count]
    fees: Mapped[Count]
    direct: Mapped[Count]


class Payer(Base):
    """Who has `purchased` credits, or of whom so many payments are known: triggers keep it.

    `flagged` is whether the customer's rows of the rollups say that it is a payer: their fold changes it.
    """

    __tablename__ = "payers"
    __table_args__ = (
        Index("ix_payers_due", "customer_id", postgresql_where=text("flagged <> (purchased OR payments > 0)")),
    )

    customer_id: Mapped[str] = mapped_column(primary_key=True)
    purchased: Mapped[bool] = mapped_column(server_default=text("false"))
    payments: Mapped[Count]
    flagged: Mapped[bool] = mapped_column(server_default=text("false"))
