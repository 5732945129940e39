"""Confirming a bulk refund: what was previewed is written down, and waits for a second operator where it must."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, bindparam, select, text
from sqlalchemy.orm import Session

from makegood import approval_kinds, approvals, audit, rooms
from makegood.approval_kinds import Kind
from makegood.bulk_refunds import previews
from makegood.bulk_refunds.previews import MOST, Changed, Preview, Scope
from makegood.bulk_refunds.records import locked
from makegood.errors import Invalid
from makegood.ids import uuid7
from makegood.models import Approval, BulkRefund, Operator
from makegood.refunds import MAX_NOTE, REASONS
from makegood.terms import Terms

NAME = "bulk_refund"
SAID = ("credits", "note", "state")
"""What a request for approval says by itself."""
WRITE_DOWN = text(
    f"""
    WITH chosen AS MATERIALIZED ({previews.CHOSEN}), total AS (
        SELECT count(*) AS generations, count(DISTINCT customer_id) AS customers, sum(credits) AS credits,
               {previews.DIGEST} AS digest
          FROM chosen
    ), begun AS (
        INSERT INTO bulk_refunds (id, idempotency_key, provider, model, error_class, status, since, until, reason,
                                  note, generations, customers, credits, actor, address, state, created_at)
        SELECT :id, :key, :provider, :model, :error_class, :status, :since, :until, :reason, :note, generations,
               customers, credits, :actor, :address, :state, :at
          FROM total WHERE generations > 0
        ON CONFLICT (idempotency_key) DO NOTHING RETURNING id
    ), items AS (
        INSERT INTO bulk_refund_items (bulk_refund_id, generation_id, customer_id, credits)
        SELECT begun.id, chosen.id, chosen.customer_id, chosen.credits FROM begun, chosen
    )
    SELECT generations, digest, EXISTS (SELECT FROM begun) AS begun FROM total
    """  # noqa: S608 (made of our own text)
).bindparams(*previews.NULLABLE, bindparam("address", type_=Text))


def start(
    session: Session,
    scope: Scope,
    terms: Terms,
    *,
    fingerprint: str,
    count: int | None,
    reason: str,
    note: str,
    actor: str,
    idempotency_key: str,
    address: str | None = None,
    at: datetime | None = None,
) -> BulkRefund:
    """Confirm what was previewed; the operator typed how many generations that are. One audit entry.

    Above the operator's limits (for one, and for those of a day) it waits for a second operator, else the worker
    begins. A double submit returns the first. Raises Invalid (nothing to refund, too much, another number typed,
    reason, note), Forbidden (the role) and Changed (the generations are others by now). No credits move here.
    """
    at = at or datetime.now(UTC)
    operator = rooms.lock(session, actor)  # the same form, sent twice, waits here for its twin
    rooms.allow(operator, rooms.BULK)
    first = _by_key(session, idempotency_key)
    if first is not None:
        return first
    found = previews.preview(session, scope)
    if found.fingerprint != fingerprint:
        raise Changed(found)
    _check(found, count, reason, note)
    waits = _waits(session, operator, found.credits, terms, at)
    values = vars(scope) | {
        "id": uuid7(),
        "key": idempotency_key,
        "reason": reason,
        "note": note.strip(),
        "actor": actor,
        "address": address,
        "state": "waiting" if waits else "running",
        "at": at,  # of the day whose room was looked at, however long it took
    }
    savepoint = session.begin_nested()
    written = session.execute(WRITE_DOWN, values).one()
    if previews.fingerprint(scope, written.generations, written.digest) != fingerprint:
        savepoint.rollback()
        raise Changed(previews.preview(session, scope))
    savepoint.commit()
    begun = session.execute(select(BulkRefund).where(BulkRefund.idempotency_key == idempotency_key)).scalar_one()
    if not written.begun:
        return begun  # the same form, sent twice at the same moment
    details = _confirmed(begun)
    _record(session, begun, "confirmed", actor, address, details)
    if waits:
        approvals.ask(
            session,
            KIND,
            begun.id,
            credits=begun.credits,
            details={name: value for name, value in details.items() if value is not None and name not in SAID},
            note=begun.note,
            actor=actor,
            at=at,
            address=address,
        )
    return begun


def approve(session: Session, bulk_refund_id: UUID, *, approver: str, address: str | None = None) -> BulkRefund:
    """A second operator agrees: the worker begins. Raises NotFound and Conflict (it does not wait)."""
    asked = locked(session, bulk_refund_id, "waiting")
    asked.state, asked.approver = "running", approver
    _record(session, asked, "approved", approver, address, _decided(asked))
    return asked


def refuse(session: Session, bulk_refund_id: UUID, *, by: str) -> BulkRefund:
    """It is not approved, or no longer asked for: nothing is refunded. Raises NotFound and Conflict."""
    asked = locked(session, bulk_refund_id, "waiting")
    asked.state, asked.ended_at = "refused", datetime.now(UTC)
    _record(session, asked, "refused", by, None, _decided(asked))
    return asked


def _waits(session: Session, operator: Operator | None, credits: int, terms: Terms, at: datetime) -> bool:
    """Whether it is beyond what a locked operator may refund in bulk alone."""
    if operator is None:
        return False
    room = rooms.room(session, operator.email, operator.role, rooms.BULK, terms.timezone, at=at)
    return not room.holds(credits)


def _decided(asked: BulkRefund) -> dict[str, Any]:
    return {"asked_by": asked.actor, "before": "waiting", "after": asked.state}


def _confirmed(asked: BulkRefund) -> dict[str, Any]:
    """What was confirmed, for the audit log."""
    return {
        "provider": asked.provider,
        "model": asked.model,
        "error_class": asked.error_class,
        "status": asked.status,
        "since": asked.since.isoformat(),
        "until": asked.until.isoformat(),
        "generations_confirmed": asked.generations,
        "customers": asked.customers,
        "credits": asked.credits,
        "reason": asked.reason,
        "note": asked.note,
        "state": asked.state,
    }


def _record(
    session: Session, asked: BulkRefund, what: str, actor: str, address: str | None, details: dict[str, Any]
) -> None:
    session.flush()
    subject = f"{NAME}:{asked.id}"
    audit.record(session, actor=actor, action=f"{NAME}.{what}", subject=subject, details=details, address=address)


def _by_key(session: Session, key: str) -> BulkRefund | None:
    return session.scalar(select(BulkRefund).where(BulkRefund.idempotency_key == key))


def _check(found: Preview, count: int | None, reason: str, note: str) -> None:
    if not found.generations:
        raise Invalid("Nothing is left to refund here. No credits moved.")
    if found.too_many:
        raise Invalid(
            f"These are {found.generations:,} generations, and one bulk refund has at most {MOST:,}. "
            "No credits moved. Choose a shorter time or one model."
        )
    fields = {}
    if reason not in REASONS:
        fields["reason"] = "choose a reason from the list"
    if not note.strip():
        fields["note"] = "say in a few words what happened"
    elif len(note) > MAX_NOTE or "\0" in note:
        fields["note"] = f"must be at most {MAX_NOTE} characters of text"
    if count != found.generations:
        fields["count"] = f"must be {found.generations}, the number of generations"
    if fields:
        raise Invalid("The bulk refund was not begun. No credits moved.", fields=fields)


def _carry_out(
    session: Session, approval: Approval, approver: str, terms: Terms, at: datetime, address: str | None
) -> None:
    approve(session, _of(approval), approver=approver, address=address)


def _dropped(session: Session, approval: Approval) -> None:
    refuse(session, _of(approval), by=approval.decided_by or "system")


def _of(approval: Approval) -> UUID:
    return UUID(KIND.identifier_of(approval))


KIND = approval_kinds.register(Kind(NAME, NAME, "bulk_refund", _carry_out, _dropped))
