"""Alerts: facts that an operator must know of. One fact opens one alert while it is not resolved."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood import audit
from makegood.errors import NotFound
from makegood.ids import uuid7_floor
from makegood.models import Alert, Callback, Generation

REFUND_FAILED = "refund_failed"
PROVIDER_ACCOUNT = "provider_account"
NOTIFICATION_FAILED = "notification_failed"


def raise_alert(
    session: Session, kind: str, subject: str, message: str, *, generation_id: UUID | None = None
) -> None:
    """Open an alert for this fact, or count another occurrence of the one that is open."""
    row = insert(Alert).values(kind=kind, subject=subject, message=message, generation_id=generation_id)
    session.execute(
        row.on_conflict_do_update(
            index_elements=[Alert.kind, Alert.subject],
            index_where=Alert.resolved_at.is_(None),
            set_={"occurrences": Alert.occurrences + 1, "seen_at": func.clock_timestamp()},
        )
    )


def raise_refund_failed(session: Session, generation_id: UUID) -> None:
    """Say that a generation's refund could not be written. The charged row stays the retry of its refund."""
    message = "The refund of this generation could not be written. It is tried again until it is."
    raise_alert(session, REFUND_FAILED, str(generation_id), message, generation_id=generation_id)


def resolve(session: Session, kind: str, subject: str) -> bool:
    """Note that the fact no longer holds. Returns whether an alert stood for it."""
    changed = session.execute(
        update(Alert)
        .where(Alert.kind == kind, Alert.subject == subject, Alert.resolved_at.is_(None))
        .values(resolved_at=func.clock_timestamp())
        .returning(Alert.id)
    )
    return changed.first() is not None


def resolve_mended_accounts(session: Session) -> int:
    """Resolve the `provider_account` alerts of providers that took a generation since. Returns how many."""
    query = select(Alert).where(Alert.kind == PROVIDER_ACCOUNT, Alert.resolved_at.is_(None))
    mended = 0
    for alert in session.scalars(query):
        accepted = exists().where(
            Generation.id >= uuid7_floor(alert.seen_at),
            Generation.provider == alert.subject,
            Generation.submitted_at > alert.seen_at,
        )
        if session.scalar(select(accepted)):
            mended += resolve(session, alert.kind, alert.subject)
    return mended


def resolve_ended(session: Session) -> int:
    """Resolve the `refund_failed` alerts of ended generations about which nothing waits. Returns how many."""
    settled = exists().where(
        Generation.id == Alert.generation_id, Generation.ended_at.is_not(None), Generation.check_at.is_(None)
    )
    waiting = exists().where(
        Callback.generation_id == Alert.generation_id, Callback.state == "waiting", Callback.attempts > 0
    )
    changed = session.execute(
        update(Alert)
        .where(Alert.kind == REFUND_FAILED, Alert.resolved_at.is_(None), settled, ~waiting)
        .values(resolved_at=func.clock_timestamp())
        .returning(Alert.id)
        .execution_options(synchronize_session=False)
    )
    return len(changed.all())


def open_alerts(session: Session, limit: int = 20) -> list[Alert]:
    """Alerts that nobody has acknowledged, newest first, resolved ones included until somebody has."""
    query = select(Alert).where(Alert.acknowledged_at.is_(None)).order_by(Alert.id.desc()).limit(limit)
    return list(session.scalars(query))


def count_open(session: Session) -> int:
    """How many alerts nobody has acknowledged."""
    return session.scalar(select(func.count()).select_from(Alert).where(Alert.acknowledged_at.is_(None))) or 0


def acknowledge(session: Session, alert_id: UUID, *, actor: str, address: str | None = None) -> Alert:
    """Take an alert off the dashboard. Doing it again changes nothing. Raises NotFound."""
    alert = session.get(Alert, alert_id, with_for_update=True)
    if alert is None:
        raise NotFound("There is no such alert.")
    if alert.acknowledged_at is None:
        alert.acknowledged_at = datetime.now(UTC)
        alert.acknowledged_by = actor
        audit.record(
            session,
            actor=actor,
            action="alert.acknowledged",
            subject=f"alert:{alert.id}",
            details={"kind": alert.kind, "message": alert.message, "before": "open", "after": "acknowledged"},
            address=address,
        )
    return alert
