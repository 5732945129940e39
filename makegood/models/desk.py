"""What operators keep: notes on customers, adjustments of their credits, and views of lists."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, UUIDKey, Written, foreign_text


class CustomerNote(Base):
    """What an operator wrote down about a customer. Append-only; a form that is sent twice writes one."""

    __tablename__ = "customer_notes"
    __table_args__ = (
        CheckConstraint("char_length(body) BETWEEN 1 AND 2000", name="body"),
        CheckConstraint(foreign_text("idempotency_key"), name="idempotency_key"),
        Index("ix_customer_notes_customer", "customer_id", "id"),
        Index("uq_customer_notes_key", "customer_id", "idempotency_key", unique=True),
    )

    id: Mapped[UUIDKey]
    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"))
    body: Mapped[str]
    actor: Mapped[str]
    idempotency_key: Mapped[str]
    created_at: Mapped[Written]


class CreditAdjustment(Base):
    """Credits that an operator gave (+) or took (−) by hand, beside their ledger row. Append-only."""

    __tablename__ = "credit_adjustments"
    __table_args__ = (
        CheckConstraint("credits <> 0", name="credits"),
        CheckConstraint("char_length(note) BETWEEN 1 AND 1000", name="note"),
        CheckConstraint(foreign_text("idempotency_key"), name="idempotency_key"),
        Index("uq_credit_adjustments_transaction", "transaction_id", unique=True),
        Index("uq_credit_adjustments_key", "customer_id", "idempotency_key", unique=True),
        Index("ix_credit_adjustments_by_hand", "actor", "adjusted_at"),
    )

    id: Mapped[UUIDKey]
    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"))
    transaction_id: Mapped[UUID] = mapped_column(ForeignKey("credit_transactions.id"))
    credits: Mapped[int]
    reason: Mapped[str]
    note: Mapped[str]
    actor: Mapped[str]
    idempotency_key: Mapped[str]
    adjusted_at: Mapped[datetime]
    created_at: Mapped[Written]


class SavedView(Base):
    """A page's query string under a name, for one operator. At most one of a page is its default."""

    __tablename__ = "saved_views"
    __table_args__ = (
        CheckConstraint("char_length(name) BETWEEN 1 AND 60", name="name"),
        CheckConstraint("char_length(query) <= 2000", name="query"),
        Index("uq_saved_views_name", "operator_id", "page", "name", unique=True),
        Index(
            "uq_saved_views_default",
            "operator_id",
            "page",
            unique=True,
            postgresql_where=text("is_default"),
        ),
    )

    id: Mapped[UUIDKey]
    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operators.id"))
    page: Mapped[str]
    name: Mapped[str]
    query: Mapped[str]
    is_default: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[Written]
