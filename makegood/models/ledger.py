"""The ledger: grants, credit transactions, and which grants each transaction moved."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, Count, UUIDKey, Written

GRANT_SOURCES = ("allowance", "purchase", "bonus", "adjustment")
TRANSACTION_KINDS = ("grant", "charge", "refund", "reversal", "expiry", "adjustment", "clawback", "restoration")


class Grant(Base):
    """Credits given to a customer. `remaining` changes only through movements.

    `month` is the month that an allowance is for; credits that a refund returned after their grant had
    expired live on in a new grant of the same source without a month. `purchase_id` is the purchase that the
    credits were bought by, also where they live on in a new grant.
    """

    __tablename__ = "grants"
    __table_args__ = (
        CheckConstraint("credits > 0", name="credits"),
        CheckConstraint("remaining BETWEEN 0 AND credits", name="remaining"),
        CheckConstraint("source IN ('allowance', 'purchase', 'bonus', 'adjustment')", name="source"),
        CheckConstraint("source <> 'purchase' OR expires_at IS NULL", name="purchase_never_expires"),
        CheckConstraint("source <> 'allowance' OR expires_at IS NOT NULL", name="allowance_expires"),
        Index(
            "ix_grants_open",
            "customer_id",
            "expires_at",
            postgresql_where=text("remaining > 0"),
        ),
        Index(
            "ix_grants_expiring",
            "expires_at",
            postgresql_where=text("remaining > 0 AND expires_at IS NOT NULL"),
        ),
        Index(
            "uq_grants_allowance",
            "customer_id",
            "month",
            unique=True,
            postgresql_where=text("source = 'allowance' AND month IS NOT NULL"),
        ),
        Index("ix_grants_purchase", "purchase_id", postgresql_where=text("purchase_id IS NOT NULL")),
    )

    id: Mapped[UUIDKey]
    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"))
    source: Mapped[str]
    credits: Mapped[int]
    remaining: Mapped[Count]
    expires_at: Mapped[datetime | None]
    month: Mapped[date | None]
    reason: Mapped[str]
    purchase_id: Mapped[UUID | None] = mapped_column(ForeignKey("purchases.id", use_alter=True))
    created_at: Mapped[datetime]


class CreditTransaction(Base):
    """One append-only ledger row. Inserting it is what changes the balance (see the migration's trigger).

    `entry` numbers a customer's rows from 1 without gaps; `balance_after` is the balance after this row.
    """

    __tablename__ = "credit_transactions"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="amount"),
        CheckConstraint(
            "CASE kind WHEN 'grant' THEN amount > 0 WHEN 'refund' THEN amount > 0 "
            "WHEN 'charge' THEN amount < 0 WHEN 'expiry' THEN amount < 0 WHEN 'reversal' THEN amount < 0 "
            "WHEN 'clawback' THEN amount < 0 WHEN 'restoration' THEN amount > 0 "
            "WHEN 'adjustment' THEN true ELSE false END",
            name="kind",
        ),
        CheckConstraint(
            "(kind IN ('charge', 'refund', 'reversal')) = (generation_id IS NOT NULL)", name="generation"
        ),
        CheckConstraint("balance_after >= 0", name="balance_after"),
        Index("uq_credit_transactions_entry", "customer_id", "entry", unique=True),
        Index(
            "uq_credit_transactions_charge",
            "customer_id",
            "generation_id",
            unique=True,
            postgresql_where=text("kind = 'charge'"),
        ),
        Index(
            "ix_credit_transactions_refund",
            "generation_id",
            postgresql_where=text("kind = 'refund'"),
        ),
        Index(
            "ix_credit_transactions_expiry",
            "customer_id",
            postgresql_where=text("kind = 'expiry'"),
        ),
    )

    id: Mapped[UUIDKey]
    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"))
    entry: Mapped[Count]
    kind: Mapped[str]
    amount: Mapped[int]
    balance_after: Mapped[Count]
    generation_id: Mapped[UUID | None] = mapped_column(ForeignKey("generations.id"))
    actor: Mapped[str]
    reason: Mapped[str]
    occurred_at: Mapped[datetime]
    created_at: Mapped[Written]


class Movement(Base):
    """How many credits a transaction put into (+) or took from (-) one grant.

    `origin_grant_id` is the grant that the credits of a refund or restoration were drawn from, where that one has
    expired and `grant_id` is its replacement; a reversal of that refund names both again.
    """

    __tablename__ = "movements"
    __table_args__ = (CheckConstraint("credits <> 0", name="credits"),)

    transaction_id: Mapped[UUID] = mapped_column(ForeignKey("credit_transactions.id"), primary_key=True)
    grant_id: Mapped[UUID] = mapped_column(ForeignKey("grants.id"), primary_key=True)
    origin_grant_id: Mapped[UUID | None] = mapped_column(ForeignKey("grants.id"))
    credits: Mapped[int]
