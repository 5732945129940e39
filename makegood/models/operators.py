"""Operators, their sessions, API keys, throttles, the audit log and alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from makegood.models.base import Base, UUIDKey, Written

ROLES = ("viewer", "support", "admin")
SCOPES = ("platform", "stats")


class Operator(Base):
    """A person who logs in to the console. The e-mail address is stored in lower case."""

    __tablename__ = "operators"
    __table_args__ = (
        CheckConstraint("role IN ('viewer', 'support', 'admin')", name="role"),
        CheckConstraint("email = lower(email)", name="email"),
        Index("uq_operators_email", "email", unique=True),
    )

    id: Mapped[UUIDKey]
    email: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str]
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[Written]


class OperatorSession(Base):
    """A log-in. The token in the cookie is stored as a hash; the row ends with log-out, disabling or time."""

    __tablename__ = "operator_sessions"
    __table_args__ = (
        Index("uq_operator_sessions_token", "token_hash", unique=True),
        Index("ix_operator_sessions_operator", "operator_id"),
    )

    id: Mapped[UUIDKey]
    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operators.id"))
    token_hash: Mapped[bytes]
    address: Mapped[str]
    user_agent: Mapped[str]
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class ApiKey(Base):
    """A key of the platform's backend, stored as a hash. `hint` is its first characters, for people."""

    __tablename__ = "api_keys"
    __table_args__ = (
        Index("uq_api_keys_hash", "key_hash", unique=True),
        CheckConstraint("scopes <@ ARRAY['platform', 'stats'] AND cardinality(scopes) > 0", name="scopes"),
    )

    id: Mapped[UUIDKey]
    name: Mapped[str]
    hint: Mapped[str]
    key_hash: Mapped[bytes]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    revoked_at: Mapped[datetime | None]
    created_at: Mapped[Written]


class Throttle(Base):
    """Attempts counted per window: in PostgreSQL, because counters in memory are per process."""

    __tablename__ = "throttles"
    __table_args__ = (Index("ix_throttles_window", "window_start"),)

    scope: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    window_start: Mapped[datetime] = mapped_column(primary_key=True)
    attempts: Mapped[int]


class AuditEntry(Base):
    """Who changed what, when and from where. Append-only."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_subject", "subject", "id"),)

    id: Mapped[UUIDKey]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    details: Mapped[dict[str, Any]]
    address: Mapped[str | None]
    created_at: Mapped[Written]


class Alert(Base):
    """A fact that an operator must know of. One fact opens one alert while it is not resolved."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index("uq_alerts_fact", "kind", "subject", unique=True, postgresql_where=text("resolved_at IS NULL")),
    )

    id: Mapped[UUIDKey]
    kind: Mapped[str]
    subject: Mapped[str]
    message: Mapped[str]
    generation_id: Mapped[UUID | None] = mapped_column(ForeignKey("generations.id"))
    occurrences: Mapped[int] = mapped_column(server_default=text("1"))
    opened_at: Mapped[Written]
    seen_at: Mapped[Written]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None]
    resolved_at: Mapped[datetime | None]
