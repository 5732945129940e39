"""The ledger: the balance and history of a customer's credits, and the one way to write them.

The rules themselves live in the database (`migrations/sql/0001_ledger.sql`): inserting a ledger row is what
changes the balance, and rows never change. Charges and refunds are posted by `reserve_generation` and
`refund_generation` there, everything else through `post` here. Locks: see that file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import exists, func, select, text
from sqlalchemy.orm import Session

from makegood.calendars import local_day, month_of, next_month, start_of
from makegood.errors import NotFound
from makegood.ids import uuid7
from makegood.models import Balance, CreditTransaction, Grant, Movement, Refund, Reversal

GIVE = text(
    "SELECT give_credits(:grant, :transaction, :customer, :source, :credits, :expires_at, :month, "
    ":actor, :reason, :at)"
)
TAKE = text("SELECT post(:transaction, :customer, 'adjustment', :amount, :actor, :reason, :at)")
DRAW = text("SELECT draw(:transaction, :customer, :credits)")
LOCK = text("SELECT balance FROM lock_balance(:customer, :at)")


@dataclass(frozen=True)
class Consumed:
    """Credits used in a range: gross, returned, and net."""

    charged: int
    refunded: int

    @property
    def net(self) -> int:
        """Charged minus refunded."""
        return self.charged - self.refunded


def balance(session: Session, customer_id: str) -> int:
    """The customer's credits now, as the ledger has them. Raises NotFound."""
    value = session.scalar(select(Balance.balance).where(Balance.customer_id == customer_id))
    if value is None:
        raise NotFound(f"There is no customer {customer_id!r}.")
    return value


def lock(session: Session, customer_id: str, at: datetime | None = None) -> int:
    """Lock the balance until the transaction ends, and take out what has expired. Raises NotFound."""
    value = session.scalar(LOCK, {"customer": customer_id, "at": at or datetime.now(UTC)})
    if value is None:
        raise NotFound(f"There is no customer {customer_id!r}.")
    return int(value)


def post(
    session: Session,
    customer_id: str,
    credits: int,
    *,
    source: str,
    actor: str,
    reason: str,
    expires_at: datetime | None = None,
    month: date | None = None,
    at: datetime | None = None,
) -> Grant:
    """Give credits: a grant, its ledger row and the new balance. The caller holds the balance's lock."""
    at = at or datetime.now(UTC)
    grant_id = uuid7()
    values = {
        "grant": grant_id,
        "transaction": uuid7(),
        "customer": customer_id,
        "source": source,
        "credits": credits,
        "expires_at": expires_at,
        "month": month,
        "actor": actor,
        "reason": reason,
        "at": at,
    }
    session.execute(GIVE, values)
    return session.get_one(Grant, grant_id)


def take(
    session: Session, customer_id: str, credits: int, *, actor: str, reason: str, at: datetime | None = None
) -> UUID:
    """Take credits away by an adjustment, from the grants in the order in which they are spent.

    The caller holds the balance's lock and has seen that so many are there. Returns the ledger row's id.
    """
    transaction_id = uuid7()
    values = {
        "transaction": transaction_id,
        "customer": customer_id,
        "amount": -credits,
        "credits": credits,
        "actor": actor,
        "reason": reason,
        "at": at or datetime.now(UTC),
    }
    session.execute(TAKE, values)
    session.execute(DRAW, values)
    return transaction_id


def transactions(
    session: Session, customer_id: str, *, before: int | None = None, limit: int = 50
) -> list[CreditTransaction]:
    """Ledger rows of a customer, newest first; `before` is the entry number where the last page ended."""
    query = select(CreditTransaction).where(CreditTransaction.customer_id == customer_id)
    if before is not None:
        query = query.where(CreditTransaction.entry < before)
    return list(session.scalars(query.order_by(CreditTransaction.entry.desc()).limit(limit)))


def entry(session: Session, transaction_id: UUID) -> int:
    """The number of a ledger row in its customer's ledger."""
    found = select(CreditTransaction.entry).where(CreditTransaction.id == transaction_id)
    return session.scalars(found).one()


def movements(session: Session, transaction_ids: Sequence[UUID]) -> dict[UUID, list[tuple[Movement, str]]]:
    """Which grants each of these transactions moved, in the order of the grants, with their sources."""
    query = (
        select(Movement, Grant.source)
        .join(Grant, Grant.id == Movement.grant_id)
        .where(Movement.transaction_id.in_(transaction_ids))
        .order_by(Movement.grant_id)
    )
    found: dict[UUID, list[tuple[Movement, str]]] = {key: [] for key in transaction_ids}
    for movement, source in session.execute(query):
        found[movement.transaction_id].append((movement, source))
    return found


def consumed(session: Session, customer_id: str, start: datetime, end: datetime) -> Consumed:
    """Credits charged and refunded in the half-open range [start, end). A refund that was reversed is none."""
    reversed_ = exists().where(Reversal.refund_id == Refund.id, Refund.transaction_id == CreditTransaction.id)
    returned = (CreditTransaction.kind == "refund") & ~reversed_
    query = select(
        func.coalesce(-func.sum(CreditTransaction.amount).filter(CreditTransaction.kind == "charge"), 0),
        func.coalesce(func.sum(CreditTransaction.amount).filter(returned), 0),
    ).where(
        CreditTransaction.customer_id == customer_id,
        CreditTransaction.occurred_at >= start,
        CreditTransaction.occurred_at < end,
    )
    charged, refunded = session.execute(query).one()
    return Consumed(int(charged), int(refunded))


def consumed_this_month(
    session: Session, customer_id: str, timezone: ZoneInfo, *, at: datetime | None = None
) -> Consumed:
    """Credits charged and refunded in the calendar month of the reporting time zone."""
    month = month_of(local_day(at or datetime.now(UTC), timezone))
    start, end = start_of(month, timezone), start_of(next_month(month), timezone)
    return consumed(session, customer_id, start, end)
