"""Bulk refunds as they are looked at: the latest ones, one of them, and its generations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from makegood import pages
from makegood.errors import Conflict, NotFound
from makegood.models import BulkRefund, BulkRefundItem, Generation, Refund, Reversal
from makegood.pages import Cursor, Page

NOW = {
    "waiting": "waits for a second operator",
    "running": "is running",
    "stopped": "is stopped",
    "finished": "has finished",
    "refused": "was not approved",
}


@dataclass(frozen=True)
class Item:
    """A generation of a bulk refund: what was confirmed for it, and what became of it."""

    generation_id: UUID
    customer_id: str
    model: str
    status: str
    error_class: str | None
    charged_at: datetime
    credits: int
    outcome: str | None
    problem: str | None
    refund_id: UUID | None
    refunded: int | None
    reversal_id: UUID | None


def get(session: Session, bulk_refund_id: UUID) -> BulkRefund:
    """The bulk refund. Raises NotFound."""
    found = session.get(BulkRefund, bulk_refund_id, populate_existing=True)
    if found is None:
        raise NotFound("There is no such bulk refund.")
    return found


def locked(session: Session, bulk_refund_id: UUID, state: str) -> BulkRefund:
    """The bulk refund, locked, in this state. Raises NotFound, and Conflict when it is in another."""
    found = session.get(BulkRefund, bulk_refund_id, with_for_update={"key_share": True}, populate_existing=True)
    if found is None:
        raise NotFound("There is no such bulk refund.")
    if found.state != state:
        raise Conflict(
            f"This bulk refund {NOW[found.state]} by now. Nothing was changed. "
            f"It has refunded {found.refunded:,} of {found.generations:,} generations.",
            state=found.state,
        )
    return found


def latest(
    session: Session, *, before: Cursor | None = None, after: Cursor | None = None, limit: int = pages.SIZE
) -> Page[BulkRefund]:
    """One page of bulk refunds, the newest first."""
    return pages.read(
        session,
        select(BulkRefund),
        BulkRefund.created_at.expression,
        BulkRefund.id.expression,
        lambda row: row[0],
        lambda bulk: Cursor(bulk.created_at, bulk.id),
        before=before,
        after=after,
        limit=limit,
    )


def every() -> Select[*tuple[Any, ...]]:
    """All bulk refunds, the newest first."""
    return select(*BulkRefund.__table__.columns).order_by(BulkRefund.created_at.desc(), BulkRefund.id.desc())


def items(
    session: Session,
    bulk_refund_id: UUID,
    outcome: str | None = None,
    *,
    before: Cursor | None = None,
    after: Cursor | None = None,
    limit: int = pages.SIZE,
) -> Page[Item]:
    """One page of its generations, the latest charged first. `outcome` may be "due" for those not done yet."""
    return pages.read(
        session,
        _selected(bulk_refund_id, outcome),
        Generation.charged_at.expression,
        Generation.id.expression,
        lambda row: Item(*row),
        lambda item: Cursor(item.charged_at, item.generation_id),
        before=before,
        after=after,
        limit=limit,
    )


def every_item(bulk_refund_id: UUID, outcome: str | None = None) -> Select[*tuple[Any, ...]]:
    """All of its generations, the latest charged first."""
    query = _selected(bulk_refund_id, outcome)
    return query.order_by(Generation.charged_at.desc(), Generation.id.desc())


def _selected(bulk_refund_id: UUID, outcome: str | None) -> Select[*tuple[Any, ...]]:
    query = (
        select(
            BulkRefundItem.generation_id,
            BulkRefundItem.customer_id,
            Generation.model,
            Generation.status,
            Generation.error_class,
            Generation.charged_at,
            BulkRefundItem.credits,
            BulkRefundItem.outcome,
            BulkRefundItem.problem,
            BulkRefundItem.refund_id,
            Refund.credits.label("refunded"),
            Reversal.id.label("reversal_id"),
        )
        .join(Generation, Generation.id == BulkRefundItem.generation_id)
        .outerjoin(Refund, Refund.id == BulkRefundItem.refund_id)
        .outerjoin(Reversal, Reversal.refund_id == Refund.id)
        .where(BulkRefundItem.bulk_refund_id == bulk_refund_id)
    )
    if outcome == "due":
        return query.where(BulkRefundItem.outcome.is_(None))
    return query.where(BulkRefundItem.outcome == outcome) if outcome else query
