"""One customer's account: balance, open grants, ledger and newest generations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import customers, grants, ledger
from makegood.ledger import Consumed
from makegood.models import CreditTransaction, Customer, Generation, Grant
from makegood.terms import Terms

ENTRIES = 25
GENERATIONS = 25


@dataclass(frozen=True)
class Account:
    """A customer now. `older` is the ledger entry before which older rows lie, None on the last page."""

    customer: Customer
    balance: int
    consumed: Consumed
    grants: list[Grant]
    transactions: list[CreditTransaction]
    older: int | None
    generations: list[Generation]


def read(
    session: Session,
    customer_id: str,
    terms: Terms,
    *,
    before: int | None = None,
    at: datetime | None = None,
) -> Account:
    """The account, with the ledger rows older than entry `before`. `consumed` is this month's. Raises NotFound."""
    at = at or datetime.now(UTC)
    customer = customers.get(session, customer_id)
    rows = ledger.transactions(session, customer_id, before=before, limit=ENTRIES + 1)
    newest = (
        select(Generation)
        .where(Generation.customer_id == customer_id)
        .order_by(Generation.id.desc())
        .limit(GENERATIONS)
    )
    return Account(
        customer,
        ledger.balance(session, customer_id),
        ledger.consumed_this_month(session, customer_id, terms.timezone, at=at),
        grants.open_grants(session, customer_id, at),
        rows[:ENTRIES],
        rows[ENTRIES - 1].entry if len(rows) > ENTRIES else None,
        list(session.scalars(newest)),
    )
