"""What providers say they charged: imports of bills, and their lines."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, text
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, Count, UUIDKey, Written, foreign_text


class Bill(Base):
    """One import of what a provider says it charged in [`period_start`, `period_end`).

    From its billing API (`origin` api: waiting, running page by page at `cursor` while `leased_until`, then done
    or failed), or from a CSV file (a draft with its `content` until an operator imports it, then done); or
    withdrawn, without its lines. Lines that an earlier import brought are `lines_known`, of which
    `lines_differing` said something else then; `lines_pending` were not final at the provider.
    """

    __tablename__ = "bills"
    __table_args__ = (
        CheckConstraint(foreign_text("provider"), name="provider"),
        CheckConstraint("origin IN ('api', 'csv')", name="origin"),
        CheckConstraint("state IN ('draft', 'waiting', 'running', 'done', 'failed', 'withdrawn')", name="state"),
        CheckConstraint("(origin = 'csv') = (file_name IS NOT NULL)", name="file_name"),
        CheckConstraint("char_length(file_name) BETWEEN 1 AND 200", name="file_name_length"),
        CheckConstraint("(state = 'draft') = (content IS NOT NULL)", name="content"),
        CheckConstraint("origin = 'api' OR state IN ('draft', 'done', 'withdrawn')", name="origin_state"),
        CheckConstraint("origin = 'csv' OR state <> 'draft'", name="draft"),
        CheckConstraint("period_end > period_start", name="period"),
        CheckConstraint("(state IN ('done', 'failed', 'withdrawn')) = (finished_at IS NOT NULL)", name="finished"),
        CheckConstraint("(state = 'failed') = (problem IS NOT NULL)", name="problem"),
        CheckConstraint("(state = 'running') = (leased_until IS NOT NULL)", name="leased"),
        CheckConstraint(
            "lines_added >= 0 AND lines_known >= 0 AND lines_pending >= 0 "
            "AND lines_differing BETWEEN 0 AND lines_known",
            name="counts",
        ),
        Index(
            "uq_bills_under_way",
            "provider",
            "period_start",
            "period_end",
            unique=True,
            postgresql_where=text("state IN ('waiting', 'running')"),
        ),
        Index("ix_bills_under_way", "id", postgresql_where=text("state IN ('waiting', 'running')")),
    )

    id: Mapped[UUIDKey]
    provider: Mapped[str]
    origin: Mapped[str]
    file_name: Mapped[str | None]
    period_start: Mapped[datetime]
    period_end: Mapped[datetime]
    state: Mapped[str]
    cursor: Mapped[str | None]
    leased_until: Mapped[datetime | None]
    attempts: Mapped[Count]
    problem: Mapped[str | None]
    content: Mapped[bytes | None]
    lines_added: Mapped[Count]
    lines_known: Mapped[Count]
    lines_differing: Mapped[Count]
    lines_pending: Mapped[Count]
    actor: Mapped[str]
    created_at: Mapped[Written]
    finished_at: Mapped[datetime | None]


class BillLine(Base):
    """One line of a provider's bill: a charge or a refund in USD micro-dollars, and the generation it is about.

    `line_id` is the provider's own, or made from the line where it has none. `raw` is the line as received, as
    JSON. `generation_id` is null while we know no such job; such a line can be marked as reviewed. A line is
    accepted at most once and never changes otherwise.
    """

    __tablename__ = "bill_lines"
    __table_args__ = (
        CheckConstraint(foreign_text("provider"), name="provider"),
        CheckConstraint(foreign_text("line_id"), name="line_id"),
        CheckConstraint(foreign_text("provider_job_id"), name="provider_job_id"),
        CheckConstraint(foreign_text("model"), name="model"),
        CheckConstraint(foreign_text("unit"), name="unit"),
        CheckConstraint("kind IN ('charge', 'refund')", name="kind"),
        CheckConstraint("amount_micros BETWEEN 0 AND 1000000000000", name="amount_micros"),
        # Not a number counts as greater than every number.
        CheckConstraint("quantity BETWEEN 0 AND 1000000000", name="quantity"),
        CheckConstraint("(accepted_at IS NULL) = (accepted_by IS NULL)", name="accepted_by"),
        CheckConstraint("accepted_at IS NULL OR generation_id IS NOT NULL", name="accepted"),
        CheckConstraint(
            "(reviewed_at IS NULL) = (reviewed_by IS NULL) AND (reviewed_at IS NULL) = (note IS NULL)",
            name="reviewed_by",
        ),
        CheckConstraint("char_length(note) BETWEEN 1 AND 1000", name="note"),
        Index("uq_bill_lines_line", "provider", "line_id", unique=True),
        Index("ix_bill_lines_generation", "generation_id", postgresql_where=text("generation_id IS NOT NULL")),
        Index("ix_bill_lines_billed", "provider", "billed_at", "id"),
        Index(
            "ix_bill_lines_unmatched",
            "provider",
            "provider_job_id",
            postgresql_where=text("generation_id IS NULL"),
        ),
    )

    id: Mapped[UUIDKey]
    bill_id: Mapped[UUID] = mapped_column(ForeignKey("bills.id"))
    provider: Mapped[str]
    line_id: Mapped[str]
    provider_job_id: Mapped[str | None]
    model: Mapped[str | None]
    kind: Mapped[str]
    amount_micros: Mapped[int]
    quantity: Mapped[Decimal | None] = mapped_column(Numeric(18, 3))
    unit: Mapped[str | None]
    billed_at: Mapped[datetime]
    raw: Mapped[str]
    generation_id: Mapped[UUID | None] = mapped_column(ForeignKey("generations.id"))
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[str | None]
    reviewed_at: Mapped[datetime | None]
    reviewed_by: Mapped[str | None]
    note: Mapped[str | None]
    created_at: Mapped[Written]
