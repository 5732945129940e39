"""The refund policy, and which error a provider's message means."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, UUIDKey, Written, foreign_text

ERRORS = (
    "'content_policy_violation', 'internal_error', 'generation_failed', 'storage_error', 'timeout', "
    "'provider_unavailable', 'provider_account', 'invalid_input', 'unknown_error'"
)


class RefundPolicy(Base):
    """The share of the charge that comes back for an error class, by version. The newest version rules."""

    __tablename__ = "refund_policies"
    __table_args__ = (
        CheckConstraint("percent BETWEEN 0 AND 100", name="percent"),
        CheckConstraint("char_length(note) BETWEEN 1 AND 1000", name="note"),
    )

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    error_class: Mapped[str] = mapped_column(primary_key=True)
    percent: Mapped[int]
    actor: Mapped[str] = mapped_column(server_default=text("'system'"))
    note: Mapped[str] = mapped_column(server_default=text("'As shipped'"))
    created_at: Mapped[Written]


class ErrorMapping(Base):
    """What a provider's message means that the provider's own code does not tell. The newest row rules.

    `message` is normalised (`normal_error` in the database); null as class takes an earlier mapping back.
    """

    __tablename__ = "error_mappings"
    __table_args__ = (
        CheckConstraint(foreign_text("provider"), name="provider"),
        CheckConstraint("char_length(message) <= 200", name="message"),
        CheckConstraint(f"error_class IN ({ERRORS})", name="error_class"),
        Index("ix_error_mappings_message", "provider", "message", "id"),
    )

    id: Mapped[UUIDKey]
    provider: Mapped[str]
    message: Mapped[str]
    error_class: Mapped[str | None]
    actor: Mapped[str]
    created_at: Mapped[Written]
