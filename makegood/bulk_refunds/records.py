"""Bulk refunds as they are looked at: the latest ones, one of them, and its generations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from makegood import pages
from makegood.errors import Conflict, NotFound
from makegood.models import BulkRefund, BulkRefundItem, Generation, Refund, Reversal
from makegood.pages import Listing

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


def yet_to_come(session: Session, generation_id: UUID) -> list[BulkRefund]:
    """The bulk refunds that wait, run or are stopped and have not come to this generation, the oldest first."""
    query = (
        select(BulkRefund)
        .join(BulkRefundItem, BulkRefundItem.bulk_refund_id == BulkRefund.id)
        .where(BulkRefundItem.generation_id == generation_id, BulkRefundItem.outcome.is_(None))
        .where(BulkRefund.state.in_(("waiting", "running", "stopped")))
    )
    return list(session.scalars(query.order_by(BulkRefund.id)))


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


BULK_REFUNDS: Listing[None, BulkRefund] = Listing(
    select(BulkRefund), pages.whole, at=BulkRefund.created_at, id=BulkRefund.id
)


@dataclass(frozen=True)
class ItemFilters:
    """What to list: the generations of one bulk refund. `outcome` may be "due" for those not done yet; None is no
    restriction."""

    bulk_refund_id: UUID
    outcome: str | None = None


def _having(filters: ItemFilters) -> Iterator[ColumnElement[bool]]:
    if filters.outcome is not None:
        due = filters.outcome == "due"
        yield BulkRefundItem.outcome.is_(None) if due else BulkRefundItem.outcome == filters.outcome


ITEMS: Listing[ItemFilters, Item] = Listing(
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
    .outerjoin(Reversal, Reversal.refund_id == Refund.id),
    Item,
    at=Generation.charged_at,
    id=Generation.id,
    equal={"bulk_refund_id": BulkRefundItem.bulk_refund_id},
    having=_having,
)
"""The latest charged first."""
