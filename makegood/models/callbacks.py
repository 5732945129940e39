"""The callbacks inbox: every delivery as received, applied at most once."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, Count, UUIDKey, Written

CALLBACK_STATES = ("applied", "ignored", "duplicate", "rejected", "waiting")


class Callback(Base):
    """A provider's notification. `body` is the raw bytes; `parsed` is what we read from them.

    `delivery` identifies the delivery (the provider's own id, else a hash of the body). A rejected delivery
    proves nothing and a non-terminal one changes nothing, so neither stands in the way of one with the same id.
    `late` says that its generation had ended when it came.
    """

    __tablename__ = "callbacks"
    __table_args__ = (
        CheckConstraint("state IN ('applied', 'ignored', 'duplicate', 'rejected', 'waiting')", name="state"),
        Index(
            "uq_callbacks_delivery",
            "generation_id",
            "delivery",
            unique=True,
            postgresql_where=text("state IN ('applied', 'waiting')"),
        ),
        Index("ix_callbacks_generation", "generation_id", "id"),
        Index("ix_callbacks_waiting", "id", postgresql_where=text("state = 'waiting'")),
        Index("ix_callbacks_received", "received_at", "id"),
        Index("ix_callbacks_provider", "provider", "received_at", "id"),
        Index("ix_callbacks_state", "state", "received_at", "id", postgresql_where=text("state <> 'applied'")),
        Index(
            "ix_callbacks_late",
            "provider",
            "received_at",
            postgresql_where=text("late AND state = 'applied'"),
        ),
    )

    id: Mapped[UUIDKey]
    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generations.id"))
    customer_id: Mapped[str]
    provider: Mapped[str]
    delivery: Mapped[str]
    headers: Mapped[dict[str, Any]]
    body: Mapped[bytes]
    parsed: Mapped[dict[str, Any] | None]
    state: Mapped[str]
    detail: Mapped[str | None]
    late: Mapped[bool] = mapped_column(server_default=text("false"))
    attempts: Mapped[Count]
    received_at: Mapped[Written]
    applied_at: Mapped[datetime | None]
