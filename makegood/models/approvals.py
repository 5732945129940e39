"""What each role may give and take alone, and requests that wait for a second operator."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, UUIDKey, Written


class RefundLimit(Base):
    """What a role may give and take without a second operator, in credits, by version. The newest version rules.

    Null is no limit. Given: by one refund, one adjustment, and by both on a day. Taken: by one adjustment or
    reversal, and on a day. In bulk: by one bulk refund, and by those of a day. `confirm_from` is the amount from
    which on the session has to prove anew who it is.
    """

    __tablename__ = "refund_limits"
    __table_args__ = (
        CheckConstraint("role IN ('support', 'admin')", name="role"),
        CheckConstraint("per_refund >= 0", name="per_refund"),
        CheckConstraint("per_adjustment >= 0", name="per_adjustment"),
        CheckConstraint("per_day >= 0", name="per_day"),
        CheckConstraint("per_taking >= 0", name="per_taking"),
        CheckConstraint("per_taking_day >= 0", name="per_taking_day"),
        CheckConstraint("per_bulk >= 0", name="per_bulk"),
        CheckConstraint("per_bulk_day >= 0", name="per_bulk_day"),
        CheckConstraint("confirm_from >= 0", name="confirm_from"),
        CheckConstraint("char_length(note) BETWEEN 1 AND 1000", name="note"),
    )

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    role: Mapped[str] = mapped_column(primary_key=True)
    per_refund: Mapped[int | None]
    per_day: Mapped[int | None]
    per_bulk: Mapped[int | None]
    confirm_from: Mapped[int | None]
    per_adjustment: Mapped[int | None]
    per_taking: Mapped[int | None]
    per_taking_day: Mapped[int | None]
    per_bulk_day: Mapped[int | None]
    actor: Mapped[str]
    note: Mapped[str]
    created_at: Mapped[Written]


class Approval(Base):
    """A request that a second operator approves or rejects: what is asked for, by whom, and what became of it.

    `subject` is what it is about, written as in the audit log ("generation:<id>"); `credits` are what moves when
    it is approved, below zero for credits that are taken, and zero where none do. `result_id` is the refund,
    adjustment or reversal that an approved one made.
    """

    __tablename__ = "approvals"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('refund', 'bulk_refund', 'adjustment', 'reversal', 'new_limits', 'new_admin')", name="kind"
        ),
        # A customer's id has up to 200 characters itself.
        CheckConstraint("char_length(subject) BETWEEN 1 AND 250", name="subject"),
        CheckConstraint(
            "CASE WHEN kind = 'adjustment' THEN credits <> 0 WHEN kind = 'reversal' THEN credits < 0 "
            "WHEN kind IN ('new_limits', 'new_admin') THEN credits = 0 ELSE credits > 0 END",
            name="credits",
        ),
        CheckConstraint("char_length(note) BETWEEN 1 AND 1000", name="note"),
        CheckConstraint("state IN ('pending', 'approved', 'rejected', 'withdrawn', 'expired')", name="state"),
        CheckConstraint("(state = 'pending') = (decided_at IS NULL)", name="decided_at"),
        CheckConstraint(
            "(state IN ('approved', 'rejected', 'withdrawn')) = (decided_by IS NOT NULL)", name="decided_by"
        ),
        CheckConstraint(
            "state NOT IN ('approved', 'rejected') OR decided_by <> requested_by", name="second_operator"
        ),
        CheckConstraint("state <> 'withdrawn' OR decided_by = requested_by", name="withdrawn"),
        CheckConstraint("state <> 'rejected' OR decision_note IS NOT NULL", name="rejected"),
        CheckConstraint("char_length(decision_note) BETWEEN 1 AND 1000", name="decision_note"),
        CheckConstraint(
            "(result_id IS NOT NULL) = (kind IN ('refund', 'adjustment', 'reversal') AND state = 'approved')",
            name="result",
        ),
        CheckConstraint("expires_at > requested_at", name="expires_at"),
        Index("uq_approvals_pending", "kind", "subject", unique=True, postgresql_where=text("state = 'pending'")),
        Index("ix_approvals_subject", "subject"),
        Index("ix_approvals_customer", text("(details ->> 'customer_id')")),
        Index("uq_approvals_result", "result_id", unique=True),
        Index("ix_approvals_requested", "requested_at", "id"),
        Index("ix_approvals_due", "expires_at", postgresql_where=text("state = 'pending'")),
        Index("ix_approvals_approved", "decided_by", "decided_at", postgresql_where=text("state = 'approved'")),
    )

    id: Mapped[UUIDKey]
    kind: Mapped[str]
    subject: Mapped[str]
    credits: Mapped[int]
    details: Mapped[dict[str, Any]]
    note: Mapped[str]
    requested_by: Mapped[str]
    requested_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(server_default=text("'pending'"))
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    decision_note: Mapped[str | None]
    result_id: Mapped[UUID | None]
    created_at: Mapped[Written]
