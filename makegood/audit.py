"""The audit log: who changed what, in the same transaction as the change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from makegood.models import AuditEntry


def record(
    session: Session,
    *,
    actor: str,
    action: str,
    subject: str,
    details: Mapping[str, Any] | None = None,
    address: str | None = None,
) -> AuditEntry:
    """Write one entry. `details` holds what was before and after, never a secret."""
    entry = AuditEntry(actor=actor, action=action, subject=subject, details=dict(details or {}), address=address)
    session.add(entry)
    session.flush()
    return entry
