"""The locks of whoever draws consequences from what Stripe says, in the order in which they are taken.

First the objects that are stored, in the order of their ids; then the turn, which one transaction at a time has;
then the balances of everybody concerned, in the order of their ids and all at once: a transaction that locked
some, worked, and then locked others could wait for one that waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from makegood.models import Balance

ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('makegood.purchases', 0))")


def begin(session: Session) -> None:
    """Wait until no other transaction draws consequences, and keep others waiting until the end of this one."""
    session.flush()
    session.execute(ONE_AT_A_TIME)


def balances(session: Session, customers: Iterable[str]) -> None:
    """Lock these customers' balances, in one order for everybody, so that two who need several never wait for
    each other."""
    ids = set(customers)
    if ids:
        wanted = select(Balance.customer_id).where(Balance.customer_id.in_(ids)).order_by(Balance.customer_id)
        session.execute(wanted.with_for_update(key_share=True)).all()
