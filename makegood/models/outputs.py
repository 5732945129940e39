"""Results that we keep because their provider sent no link, and what the platform is told of generations."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, Count, UUIDKey, Written, foreign_text


class OutputFile(Base):
    """A result of a generation: number `position` (from 1) of its outputs, kept until `expires_at`."""

    __tablename__ = "output_files"
    __table_args__ = (
        CheckConstraint("position >= 1", name="position"),
        CheckConstraint("octet_length(content) BETWEEN 1 AND 20971520", name="content"),
        CheckConstraint(foreign_text("content_type"), name="content_type"),
        Index("ix_output_files_expires", "expires_at"),
    )

    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generations.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content_type: Mapped[str]
    content: Mapped[bytes]
    expires_at: Mapped[datetime]
    created_at: Mapped[Written]


class Notification(Base):
    """What the platform is told of one generation: that it ended, or what was reported after that.

    `next_at` is when it is sent next; null once it was delivered, or given up. `answer` is what came of the last
    try.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        CheckConstraint("event IN ('succeeded', 'failed', 'cancelled', 'late_outcome')", name="event"),
        CheckConstraint("delivered_at IS NULL OR next_at IS NULL", name="delivered"),
        Index("uq_notifications_event", "generation_id", "event", unique=True),
        Index("ix_notifications_due", "next_at", postgresql_where=text("next_at IS NOT NULL")),
        Index(
            "ix_notifications_failing",
            "created_at",
            "id",
            postgresql_where=text("delivered_at IS NULL AND attempts > 0"),
        ),
    )

    id: Mapped[UUIDKey]
    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generations.id"))
    event: Mapped[str]
    attempts: Mapped[Count]
    next_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    answer: Mapped[str | None]
    created_at: Mapped[Written]
