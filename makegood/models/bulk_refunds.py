"""Refunds of a whole incident with their generations, and reversals of refunds."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, Count, UUIDKey, Written, foreign_text


class BulkRefund(Base):
    """What an operator confirmed: `credits` to be returned for `generations` of so many customers.

    They are the ended generations of a provider (of one model, error class or status, or of any: null) that were
    charged from `since` until `until` and not refunded in full. `waiting` is for a second operator's approval;
    `refused` means that it did not come. The worker counts what was `refunded`, `skipped` because nothing was
    left to refund by then, and `failed`; `credits_refunded` went back.
    """

    __tablename__ = "bulk_refunds"
    __table_args__ = (
        CheckConstraint(foreign_text("idempotency_key"), name="idempotency_key"),
        CheckConstraint("status IN ('succeeded', 'failed', 'cancelled')", name="status"),
        CheckConstraint("since < until", name="until"),
        CheckConstraint("char_length(note) BETWEEN 1 AND 1000", name="note"),
        CheckConstraint(
            "generations > 0 AND customers BETWEEN 1 AND generations AND credits >= generations", name="confirmed"
        ),
        CheckConstraint("state IN ('waiting', 'running', 'stopped', 'finished', 'refused')", name="state"),
        CheckConstraint("(state IN ('finished', 'refused')) = (ended_at IS NOT NULL)", name="ended"),
        CheckConstraint("(state = 'stopped') = (stopped_by IS NOT NULL)", name="stopped"),
        CheckConstraint("approver <> actor", name="approver"),
        CheckConstraint(
            "refunded >= 0 AND skipped >= 0 AND failed >= 0 AND refunded + skipped + failed <= generations "
            "AND credits_refunded BETWEEN refunded AND credits "
            "AND (state <> 'finished' OR refunded + skipped = generations) "
            "AND (state NOT IN ('waiting', 'refused') OR refunded + skipped + failed = 0)",
            name="progress",
        ),
        Index("uq_bulk_refunds_key", "idempotency_key", unique=True),
        Index("ix_bulk_refunds_running", "id", postgresql_where=text("state = 'running'")),
    )

    id: Mapped[UUIDKey]
    idempotency_key: Mapped[str]
    provider: Mapped[str]
    model: Mapped[str | None]
    error_class: Mapped[str | None]
    status: Mapped[str | None]
    since: Mapped[datetime]
    until: Mapped[datetime]
    reason: Mapped[str]
    note: Mapped[str]
    generations: Mapped[int]
    customers: Mapped[int]
    credits: Mapped[int]
    actor: Mapped[str]
    address: Mapped[str | None]
    state: Mapped[str]
    approver: Mapped[str | None]
    stopped_by: Mapped[str | None]
    refunded: Mapped[Count]
    skipped: Mapped[Count]
    failed: Mapped[Count]
    credits_refunded: Mapped[Count]
    ended_at: Mapped[datetime | None]
    created_at: Mapped[Written]


class BulkRefundItem(Base):
    """One generation of a bulk refund, and at most how many `credits` it returns for it.

    `outcome` is null until the worker came to it; `problem` says why a refund failed.
    """

    __tablename__ = "bulk_refund_items"
    __table_args__ = (
        CheckConstraint("credits > 0", name="credits"),
        CheckConstraint("outcome IN ('refunded', 'skipped', 'failed')", name="outcome"),
        CheckConstraint("coalesce(outcome = 'refunded', false) = (refund_id IS NOT NULL)", name="refunded"),
        CheckConstraint("coalesce(outcome = 'failed', false) = (problem IS NOT NULL)", name="failed"),
        Index("uq_bulk_refund_items_refund", "refund_id", unique=True),
        Index(
            "ix_bulk_refund_items_due",
            "bulk_refund_id",
            "generation_id",
            postgresql_where=text("outcome IS NULL"),
        ),
        Index("ix_bulk_refund_items_generation", "generation_id"),
        Index("ix_bulk_refund_items_customer", "customer_id", "bulk_refund_id"),
    )

    bulk_refund_id: Mapped[UUID] = mapped_column(ForeignKey("bulk_refunds.id"), primary_key=True)
    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generations.id"), primary_key=True)
    customer_id: Mapped[str]
    credits: Mapped[int]
    outcome: Mapped[str | None]
    refund_id: Mapped[UUID | None] = mapped_column(ForeignKey("refunds.id"))
    problem: Mapped[str | None]


class Reversal(Base):
    """A refund that an operator took back, whole and at most once, by its own ledger row. Append-only."""

    __tablename__ = "reversals"
    __table_args__ = (
        CheckConstraint("credits > 0", name="credits"),
        CheckConstraint("char_length(note) BETWEEN 1 AND 1000", name="note"),
        CheckConstraint(foreign_text("idempotency_key"), name="idempotency_key"),
        Index("uq_reversals_refund", "refund_id", "customer_id", unique=True),
        Index("uq_reversals_transaction", "transaction_id", unique=True),
        Index("ix_reversals_generation", "generation_id"),
        Index("ix_reversals_by_hand", "actor", "reversed_at"),
    )

    id: Mapped[UUIDKey]
    refund_id: Mapped[UUID] = mapped_column(ForeignKey("refunds.id"))
    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generations.id"))
    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"))
    transaction_id: Mapped[UUID] = mapped_column(ForeignKey("credit_transactions.id"))
    credits: Mapped[int]
    note: Mapped[str]
    actor: Mapped[str]
    idempotency_key: Mapped[str]
    reversed_at: Mapped[datetime]
    created_at: Mapped[Written]
