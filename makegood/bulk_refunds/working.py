"""The worker's part of a bulk refund: one generation at a time, each in a transaction of its own.

Locks are taken in this order: bulk refund, generation, balance, grants. A killed worker leaves the generation it
was at as it was; the next one goes on there. A stop takes effect before the next generation.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Text, Uuid, bindparam, select, text, update
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from makegood import audit
from makegood.bulk_refunds.records import locked
from makegood.ids import uuid7
from makegood.models import BulkRefund, BulkRefundItem, Generation, Refund
from makegood.terms import Terms

SYSTEM = "system"
REFUND = text(
    "SELECT refund_generation(:refund, :transaction, :generation, :credits, 'bulk', :reason, :note, :actor, "
    ":policy_version, :key, :lifetime, :at, :bulk)"
).bindparams(
    bindparam("policy_version", None, type_=BigInteger),
    bindparam("key", None, type_=Text),
    bindparam("bulk", type_=Uuid),
)


def work(session: Session, terms: Terms, *, at: datetime | None = None) -> bool:
    """Refund the next generation of a running bulk refund that nobody else works on; whether there was anything.

    The caller commits after each. What cannot be refunded is marked as failed and left for a resume.
    """
    running = session.scalar(
        select(BulkRefund)
        .where(BulkRefund.state == "running")
        .order_by(BulkRefund.id)
        .limit(1)
        .with_for_update(skip_locked=True, key_share=True)
        .execution_options(populate_existing=True)
    )
    if running is None:
        return False
    item = session.scalar(
        select(BulkRefundItem)
        .where(BulkRefundItem.bulk_refund_id == running.id, BulkRefundItem.outcome.is_(None))
        .order_by(BulkRefundItem.generation_id)
        .limit(1)
    )
    if item is None:
        _finish(session, running)
    else:
        _refund(session, running, item, terms, at or datetime.now(UTC))
    session.flush()
    return True


def stop(session: Session, bulk_refund_id: UUID, *, actor: str, address: str | None = None) -> BulkRefund:
    """Go no further after the generation that is being refunded now. Raises NotFound and Conflict."""
    running = locked(session, bulk_refund_id, "running")
    running.state, running.stopped_by = "stopped", actor
    _record(session, running, "stopped", actor, address, _moved("running", running))
    return running


def resume(session: Session, bulk_refund_id: UUID, *, actor: str, address: str | None = None) -> BulkRefund:
    """Go on where it was stopped, and try again what failed. Raises NotFound and Conflict."""
    stopped = locked(session, bulk_refund_id, "stopped")
    session.execute(
        update(BulkRefundItem)
        .where(BulkRefundItem.bulk_refund_id == stopped.id, BulkRefundItem.outcome == "failed")
        .values(outcome=None, problem=None)
    )
    stopped.state, stopped.stopped_by, stopped.failed = "running", None, 0
    _record(session, stopped, "resumed", actor, address, _moved("stopped", stopped))
    return stopped


def _refund(session: Session, running: BulkRefund, item: BulkRefundItem, terms: Terms, at: datetime) -> None:
    """At most what was confirmed, and at most what is left of the charge by now."""
    left = session.scalar(
        select(Generation.credits_charged - Generation.credits_refunded)
        .where(Generation.id == item.generation_id)
        .with_for_update(key_share=True)
    )
    credits = min(item.credits, left or 0)
    if credits == 0:
        item.outcome = "skipped"
        running.skipped += 1
        return
    values = {
        "refund": uuid7(),
        "transaction": uuid7(),
        "generation": item.generation_id,
        "credits": credits,
        "reason": running.reason,
        "note": running.note,
        "actor": running.actor,
        "lifetime": terms.returned_credits_live,
        "at": at,
        "bulk": running.id,
    }
    try:
        with session.begin_nested():
            session.execute(REFUND, values)
    except DBAPIError as error:
        if isinstance(error, OperationalError):  # the database is away or gave up on a wait: try again later
            raise
        item.outcome, item.problem = "failed", str(error.orig).partition("\n")[0][:1000] or type(error).__name__
        running.failed += 1
        return
    item.outcome, item.refund_id = "refunded", values["refund"]  # type: ignore[assignment]
    running.refunded += 1
    running.credits_refunded += credits


def _finish(session: Session, running: BulkRefund) -> None:
    """Nothing is left to do: finished, or stopped because of what failed."""
    if running.failed:
        running.state, running.stopped_by = "stopped", SYSTEM
        _record(session, running, "stopped", SYSTEM, None, _moved("running", running))
        return
    running.state, running.ended_at = "finished", datetime.now(UTC)
    refunded = session.execute(
        select(Refund.generation_id, Refund.id)
        .join(BulkRefundItem, BulkRefundItem.refund_id == Refund.id)
        .where(BulkRefundItem.bulk_refund_id == running.id)
        .order_by(Refund.generation_id)
    ).all()
    skipped = session.scalars(
        select(BulkRefundItem.generation_id)
        .where(BulkRefundItem.bulk_refund_id == running.id, BulkRefundItem.outcome == "skipped")
        .order_by(BulkRefundItem.generation_id)
    )
    named = {
        "generations": [str(row.generation_id) for row in refunded],
        "refunds": [str(row.id) for row in refunded],
        "skipped_generations": [str(one) for one in skipped],
    }
    _record(session, running, "finished", running.actor, running.address, _moved("running", running) | named)


def _moved(before: str, running: BulkRefund) -> dict[str, Any]:
    """From which state to which, and how far it is, for the audit log."""
    return {
        "before": before,
        "after": running.state,
        "refunded": running.refunded,
        "skipped": running.skipped,
        "failed": running.failed,
        "credits_refunded": running.credits_refunded,
        "of": running.generations,
    }


def _record(
    session: Session, running: BulkRefund, what: str, actor: str, address: str | None, details: dict[str, Any]
) -> None:
    session.flush()
    audit.record(
        session,
        actor=actor,
        action=f"bulk_refund.{what}",
        subject=f"bulk_refund:{running.id}",
        details=details,
        address=address,
    )
