"""Operators, their invitations, second factors and sessions, API keys, throttles, the audit log and alerts."""

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
        CheckConstraint("page_size IN (25, 50, 100, 200)", name="page_size"),
        CheckConstraint("num_nonnulls(totp_secret, totp_since, totp_step) IN (0, 3)", name="totp"),
        Index("uq_operators_email", "email", unique=True),
    )

    id: Mapped[UUIDKey]
    email: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str]
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[Written]
    timezone: Mapped[str | None]
    """The operator's own; None is the reporting time zone."""
    page_size: Mapped[int] = mapped_column(server_default=text("50"))
    single_keys: Mapped[bool] = mapped_column(server_default=text("true"))
    """Whether single keys are shortcuts."""
    totp_secret: Mapped[bytes | None]
    """Sealed; see `secrets_at_rest`."""
    totp_since: Mapped[datetime | None]
    totp_step: Mapped[int | None]
    """The time step of the last code that was accepted: no code works twice."""


class RecoveryCode(Base):
    """One of the codes that stand in for a lost second factor, stored as a hash. Each works once."""

    __tablename__ = "recovery_codes"

    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operators.id"), primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(primary_key=True)
    used_at: Mapped[datetime | None]
    created_at: Mapped[Written]


class LoginChallenge(Base):
    """A log-in whose password was right and whose code is awaited. It opens nothing by itself."""

    __tablename__ = "login_challenges"
    __table_args__ = (
        Index("uq_login_challenges_token", "token_hash", unique=True),
        Index("ix_login_challenges_operator", "operator_id"),
    )

    id: Mapped[UUIDKey]
    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operators.id"))
    token_hash: Mapped[bytes]
    created_at: Mapped[datetime]


class Invitation(Base):
    """A link with which somebody becomes an operator and sets the password. Stored as a hash; it works once."""

    __tablename__ = "invitations"
    __table_args__ = (
        CheckConstraint("role IN ('viewer', 'support', 'admin')", name="role"),
        CheckConstraint("email = lower(email)", name="email"),
        CheckConstraint("num_nonnulls(accepted_at, withdrawn_at) < 2", name="ended"),
        Index("uq_invitations_token", "token_hash", unique=True),
        Index(
            "uq_invitations_open",
            "email",
            unique=True,
            postgresql_where=text("accepted_at IS NULL AND withdrawn_at IS NULL"),
        ),
    )

    id: Mapped[UUIDKey]
    email: Mapped[str]
    role: Mapped[str]
    token_hash: Mapped[bytes]
    invited_by: Mapped[str]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
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
    confirmed_at: Mapped[datetime]
    """When the operator last proved who they are: at log-in, or asked again."""


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
    created_by: Mapped[str | None]
    revoked_by: Mapped[str | None]
    used_at: Mapped[datetime | None]
    """When it was last used, to the hour."""


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
    __table_args__ = (
        Index("ix_audit_entries_subject", "subject", "id"),
        Index("ix_audit_entries_written", "created_at", "id"),
        Index("ix_audit_entries_actor", "actor", "created_at", "id"),
        Index("ix_audit_entries_action", "action", "created_at", "id"),
        Index(
            "ix_audit_entries_customer",
            text("(details ->> 'customer_id')"),
            postgresql_where=text("(details ->> 'customer_id') IS NOT NULL"),
        ),
    )

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
