"""The story of one generation: what happened to it and to the credits it cost, in order."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from makegood import generations, ledger, outputs
from makegood.models import (
    Callback,
    CostAdjustment,
    CreditTransaction,
    Generation,
    Grant,
    Movement,
    Notification,
    Price,
    Refund,
    Reversal,
)

MOST_CALLBACKS = 200
ORDER = (
    "charge",
    "cost",
    "submit",
    "callback",
    "ended",
    "late",
    "refund",
    "reversal",
    "adjustment",
    "notification",
)


@dataclass(frozen=True)
class Moved:
    """Credits that a ledger row put into (+) or took from (-) grants of one source."""

    source: str
    credits: int


@dataclass(frozen=True)
class Entry:
    """Something that happened. `kind` is one of ORDER and says which of the other fields is set.

    A refund that was reversed has its `reversal`, as the reversal itself has.
    """

    at: datetime
    kind: str
    transaction: CreditTransaction | None = None
    moved: tuple[Moved, ...] = ()
    callback: Callback | None = None
    refund: Refund | None = None
    reversal: Reversal | None = None
    adjustment: CostAdjustment | None = None
    notification: Notification | None = None


@dataclass(frozen=True)
class Story:
    """A generation, its customer's balance now, and what happened, oldest first. `price` is the version that the
    cost rests on; None where it rests on none."""

    generation: Generation
    balance: int
    entries: list[Entry]
    price: Price | None

    @property
    def first_cost(self) -> tuple[int | None, str]:
        """The cost in micro-dollars (None: unknown) before anybody adjusted it, and where it was from."""
        adjusted = next((entry.adjustment for entry in self.entries if entry.adjustment), None)
        if adjusted is not None:
            return adjusted.from_micros, adjusted.from_source
        return self.generation.cost_micros, self.generation.cost_source

    @property
    def outputs_gone(self) -> bool:
        """Whether the time of its outputs has passed."""
        return outputs.is_over(self.generation, datetime.now(UTC))

    @property
    def refundable(self) -> int:
        """Credits of the charge that have not been returned."""
        return self.generation.credits_charged - self.generation.credits_refunded


def tell(session: Session, generation_id: UUID) -> Story:
    """Read the whole story. Raises NotFound."""
    generation = generations.get(session, generation_id)
    reversals = list(session.scalars(select(Reversal).where(Reversal.generation_id == generation.id)))
    posted = _transactions(session, generation, reversals)
    moved = _moved(session, [transaction.id for transaction in posted])
    refunds = {
        refund.transaction_id: refund
        for refund in session.scalars(select(Refund).where(Refund.generation_id == generation.id))
    }
    by_id = {refund.id: refund for refund in refunds.values()}
    taken_back = {by_id[reversal.refund_id].transaction_id: reversal for reversal in reversals}
    taken_back |= {reversal.transaction_id: reversal for reversal in reversals}
    entries = [
        Entry(
            transaction.occurred_at,
            transaction.kind,
            transaction=transaction,
            moved=moved[transaction.id],
            refund=refunds.get(transaction.id),
            reversal=taken_back.get(transaction.id),
        )
        for transaction in posted
    ]
    entries += [
        Entry(_placed(callback), "callback", callback=callback)
        for callback in session.scalars(
            select(Callback)
            .where(Callback.generation_id == generation.id)
            .order_by(Callback.id)
            .limit(MOST_CALLBACKS)
        )
    ]
    entries += _moments(generation)
    entries += [
        Entry(adjustment.created_at, "adjustment", adjustment=adjustment)
        for adjustment in session.scalars(
            select(CostAdjustment).where(CostAdjustment.generation_id == generation.id).order_by(CostAdjustment.id)
        )
    ]
    entries += [
        Entry(notification.delivered_at or notification.created_at, "notification", notification=notification)
        for notification in session.scalars(
            select(Notification).where(Notification.generation_id == generation.id).order_by(Notification.id)
        )
    ]
    entries.sort(key=lambda entry: (entry.at, ORDER.index(entry.kind)))
    price = session.get(Price, generation.price_id) if generation.price_id else None
    return Story(generation, ledger.balance(session, generation.customer_id), entries, price)


def _placed(callback: Callback) -> datetime:
    """When a callback came; one that was applied at once stands before what it did, whatever the clocks say."""
    return min(callback.received_at, callback.applied_at or callback.received_at)


def _moments(generation: Generation) -> list[Entry]:
    known_at = generation.charged_at
    if generation.cost_source in ("provider", "refused"):
        known_at = generation.ended_at or generation.submitted_at or known_at
    moments = {
        "cost": known_at,
        "submit": generation.submitted_at,
        "ended": generation.ended_at,
        "late": generation.late_at,
    }
    return [Entry(at, kind) for kind, at in moments.items() if at is not None]


def _transactions(session: Session, generation: Generation, reversals: list[Reversal]) -> list[CreditTransaction]:
    query = select(CreditTransaction).where(
        CreditTransaction.generation_id == generation.id,
        or_(
            and_(
                CreditTransaction.kind == "charge",
                CreditTransaction.customer_id == generation.customer_id,
            ),
            CreditTransaction.kind == "refund",
            CreditTransaction.id.in_([reversal.transaction_id for reversal in reversals]),
        ),
    )
    return list(session.scalars(query.order_by(CreditTransaction.entry)))


def _moved(session: Session, transaction_ids: list[UUID]) -> dict[UUID, tuple[Moved, ...]]:
    rows = session.execute(
        select(Movement.transaction_id, Grant.source, Movement.credits)
        .join(Grant, Grant.id == Movement.grant_id)
        .where(Movement.transaction_id.in_(transaction_ids))
        .order_by(Movement.grant_id)
    )
    moved: defaultdict[UUID, tuple[Moved, ...]] = defaultdict(tuple)
    for transaction_id, source, credits in rows:
        moved[transaction_id] += (Moved(source, credits),)
    return moved
