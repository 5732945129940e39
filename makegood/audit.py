"""The audit log: who changed what, in the same transaction as the change, and who looked at whom."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from makegood.models import AuditEntry, Customer

DAY = timedelta(days=1)


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


def exported(
    session: Session,
    *,
    actor: str,
    table: str,
    rows: int,
    filters: Mapping[str, str],
    of_customer: str | None,
    address: str | None,
) -> AuditEntry:
    """Write that somebody took so many rows of a table as a file; it belongs to the history of the customer whose
    rows alone were asked for, if there is such a customer."""
    details: dict[str, Any] = {"rows": rows, "filters": dict(filters)}
    if of_customer and session.get(Customer, of_customer) is not None:
        details["customer_id"] = of_customer
    return record(
        session, actor=actor, action="table.exported", subject=f"table:{table}", details=details, address=address
    )


def viewed(session: Session, *, actor: str, subject: str, address: str | None, at: datetime) -> bool:
    """Write that somebody looked at a subject, once a day for each; False if that is written already. More would
    hide what was changed among what was looked at."""
    action = f"{subject.partition(':')[0]}.viewed"
    seen = exists().where(
        AuditEntry.actor == actor,
        AuditEntry.action == action,
        AuditEntry.subject == subject,
        AuditEntry.created_at > at - DAY,
    )
    if session.scalar(select(seen)):
        return False
    record(session, actor=actor, action=action, subject=subject, address=address)
    return True
