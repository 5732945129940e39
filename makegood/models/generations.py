"""Generations, their refunds, and the idempotency keys of the requests that started them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Numeric, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, Count, UUIDKey, Written, foreign_text

IN_FLIGHT = ("charged", "submitted", "unknown")
ENDED = ("succeeded", "failed", "cancelled")


class Generation(Base):
    """One job at one provider, charged at submit.

    `tier` is the customer's tier when charged. What the provider bills is `quantity` of `unit` in the tier
    `qualifier`, at the price version `price_id`; `quantity` is null while only its answer can tell. `cost_micros`
    is null while the cost is unknown, `outputs_expire_at` where nobody knows when the links die.
    `late_outcome` is what the provider reported after the generation had already ended otherwise.
    `check_at` is when reconcile looks at it next; null once it ended. `job_by_likeness` says that the job was
    found in the provider's list and nothing of ours proves it, `gone_since` since when it is unknown there.
    """

    __tablename__ = "generations"
    __table_args__ = (
        CheckConstraint(
            "status IN ('charged', 'submitted', 'unknown', 'succeeded', 'failed', 'cancelled')",
            name="status",
        ),
        CheckConstraint("credits_charged > 0", name="credits_charged"),
        CheckConstraint("credits_refunded BETWEEN 0 AND credits_charged", name="credits_refunded"),
        CheckConstraint("cost_micros >= 0", name="cost_micros"),
        # Not a number counts as greater than every number.
        CheckConstraint("quantity BETWEEN 0 AND 1000000000", name="quantity"),
        CheckConstraint(foreign_text("unit"), name="unit"),
        CheckConstraint("char_length(qualifier) <= 200", name="qualifier"),
        CheckConstraint(
            "cost_source IN ('price_book', 'provider', 'bill', 'refused', 'unknown')", name="cost_source"
        ),
        CheckConstraint("(cost_micros IS NULL) = (cost_source = 'unknown')", name="unknown_cost"),
        CheckConstraint("(status IN ('succeeded', 'failed', 'cancelled')) = (ended_at IS NOT NULL)", name="ended"),
        CheckConstraint("(status = 'failed') = (error_class IS NOT NULL)", name="error_class"),
        CheckConstraint(foreign_text("provider"), name="provider"),
        CheckConstraint(foreign_text("model"), name="model"),
        CheckConstraint(foreign_text("kind"), name="kind"),
        CheckConstraint(foreign_text("provider_job_id"), name="provider_job_id"),
        Index("uq_generations_callback_token", "callback_token_hash", unique=True),
        Index("ix_generations_customer", "customer_id", "id"),
        # The platform's own jobs are its own affair: several generations may share one.
        Index(
            "uq_generations_provider_job",
            "provider_job_id",
            text("coalesce(nullif(provider, 'external'), id::text)"),
            unique=True,
            postgresql_where=text("provider_job_id IS NOT NULL"),
        ),
        Index(
            "ix_generations_in_flight",
            "charged_at",
            postgresql_where=text("status IN ('charged', 'submitted', 'unknown')"),
        ),
        Index("ix_generations_check", "check_at", postgresql_where=text("check_at IS NOT NULL")),
        Index("ix_generations_charged", "charged_at", "id"),
        Index("ix_generations_ended", "ended_at", "id", postgresql_where=text("ended_at IS NOT NULL")),
        Index("ix_generations_provider", "provider", "charged_at"),
        Index("ix_generations_model", "model", "charged_at"),
        Index(
            "ix_generations_not_made_good",
            "charged_at",
            "id",
            postgresql_where=text("status = 'failed' AND credits_refunded = 0"),
        ),
        Index(
            "ix_generations_partly_refunded",
            "charged_at",
            "id",
            postgresql_where=text("credits_refunded > 0 AND credits_refunded < credits_charged"),
        ),
        Index("ix_generations_unknown_cost", "charged_at", postgresql_where=text("cost_micros IS NULL")),
        Index(
            "ix_generations_unknown_message",
            text("date_trunc('month', (ended_at AT TIME ZONE 'UTC'))"),
            "provider",
            text("normal_error(error_message)"),
            "ended_at",
            postgresql_where=text("error_class = 'unknown_error'"),
        ),
        Index("ix_generations_cancelled", "ended_at", postgresql_where=text("status = 'cancelled'")),
        Index("ix_generations_late", "late_at", postgresql_where=text("late_outcome IS NOT NULL")),
        Index(
            "ix_generations_failed",
            "ended_at",
            "id",
            postgresql_include=["error_class", "credits_charged"],
            postgresql_where=text("status = 'failed'"),
        ),
        Index("ix_generations_error", "error_class", "ended_at", "id", postgresql_where=text("status = 'failed'")),
        Index(
            "ix_generations_latency",
            "provider",
            "ended_at",
            postgresql_include=["latency_ms", "model"],
            postgresql_where=text("status = 'succeeded'"),
        ),
        Index(
            "ix_generations_provider_failed",
            "provider",
            "ended_at",
            postgresql_include=["error_class"],
            postgresql_where=text("status = 'failed'"),
        ),
    )

    id: Mapped[UUIDKey]
    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"))
    tier: Mapped[str]
    provider: Mapped[str]
    model: Mapped[str]
    kind: Mapped[str]
    input: Mapped[dict[str, Any]]
    # "metadata" is SQLAlchemy's own name on a mapped class
    metadata_: Mapped[dict[str, Any] | None] = mapped_column("metadata")
    status: Mapped[str]
    credits_charged: Mapped[int]
    credits_refunded: Mapped[Count]
    callback_token_hash: Mapped[bytes]
    provider_job_id: Mapped[str | None]
    job_by_likeness: Mapped[bool] = mapped_column(server_default=text("false"))
    gone_since: Mapped[datetime | None]
    unit: Mapped[str]
    qualifier: Mapped[str] = mapped_column(server_default=text("''"))
    quantity: Mapped[Decimal | None] = mapped_column(Numeric(18, 3))
    price_id: Mapped[UUID | None] = mapped_column(ForeignKey("prices.id"))
    cost_micros: Mapped[int | None]
    cost_source: Mapped[str]
    error_class: Mapped[str | None]
    error_message: Mapped[str | None]
    outputs: Mapped[list[Any] | None]
    outputs_expire_at: Mapped[datetime | None]
    latency_ms: Mapped[int | None]
    late_outcome: Mapped[str | None]
    late_at: Mapped[datetime | None]
    actor: Mapped[str]
    charged_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    check_at: Mapped[datetime | None]
    checks: Mapped[Count]
    created_at: Mapped[Written]


class IdempotencyKey(Base):
    """A request that must take effect once: its fingerprint, what it made, and the first answer."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (CheckConstraint(foreign_text("key"), name="key"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]
    resource_id: Mapped[UUID]
    response_status: Mapped[int | None] = mapped_column(SmallInteger)
    response_body: Mapped[dict[str, Any] | None]
    created_at: Mapped[Written]


class Refund(Base):
    """Credits returned for one generation: automatically (once), by an operator, or by a bulk refund.

    `provider` and `model` are its generation's, written by the database. `loss_micros` is the generation's cost in
    micro-dollars if this is its first refund that stands (was not reversed), else 0.
    """

    __tablename__ = "refunds"
    __table_args__ = (
        CheckConstraint("credits > 0", name="credits"),
        CheckConstraint("origin IN ('automatic', 'manual', 'bulk')", name="origin"),
        CheckConstraint("(origin = 'bulk') = (bulk_refund_id IS NOT NULL)", name="bulk"),
        CheckConstraint("(origin = 'manual') = (idempotency_key IS NOT NULL)", name="manual_idempotency_key"),
        CheckConstraint(foreign_text("idempotency_key"), name="idempotency_key"),
        # A cancelled generation that fails after all may be refunded once for each.
        Index(
            "uq_refunds_automatic",
            "customer_id",
            "generation_id",
            text("(reason = 'cancelled')"),
            unique=True,
            postgresql_where=text("origin = 'automatic'"),
        ),
        Index(
            "uq_refunds_manual",
            "customer_id",
            "generation_id",
            "idempotency_key",
            unique=True,
            postgresql_where=text("origin = 'manual'"),
        ),
        ForeignKeyConstraint(
            ["bulk_refund_id", "generation_id"],
            ["bulk_refund_items.bulk_refund_id", "bulk_refund_items.generation_id"],
            use_alter=True,
        ),
        Index(
            "uq_refunds_bulk",
            "customer_id",
            "generation_id",
            "bulk_refund_id",
            unique=True,
            postgresql_where=text("origin = 'bulk'"),
        ),
        Index("uq_refunds_transaction", "transaction_id", unique=True),
        Index("ix_refunds_issued", "issued_at", "id"),
        Index("ix_refunds_provider", "provider", "issued_at", "id"),
        Index("ix_refunds_model", "model", "issued_at", "id"),
        Index("ix_refunds_reason", "reason", "issued_at", "id"),
        Index("ix_refunds_by_hand", "actor", "issued_at", postgresql_where=text("origin = 'manual'")),
        Index("ix_refunds_generation", "generation_id"),
        Index("ix_refunds_customer", "customer_id", "issued_at", "id"),
    )

    id: Mapped[UUIDKey]
    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generations.id"))
    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"))
    transaction_id: Mapped[UUID] = mapped_column(ForeignKey("credit_transactions.id"))
    provider: Mapped[str]
    model: Mapped[str]
    credits: Mapped[int]
    origin: Mapped[str]
    reason: Mapped[str]
    note: Mapped[str | None]
    actor: Mapped[str]
    policy_version: Mapped[int | None]
    idempotency_key: Mapped[str | None]
    bulk_refund_id: Mapped[UUID | None]
    loss_micros: Mapped[Count]
    issued_at: Mapped[datetime]
    created_at: Mapped[Written]
