"""Stripe is heard by several at once, while credits are spent: each effect happens once, and nobody deadlocks."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.orm import Session

from makegood import books, grants, ledger, purchases
from makegood.errors import InsufficientCredits
from makegood.models import Purchase, StripeAccount
from makegood.purchases import checks
from makegood.stripe import mirror
from simulator.stripe.billing import Account
from tests.makegood.purchases.conftest import BEGAN, ORDER, objects
from tests.making import make_customer, reserve
from tests.stripe import pack

THREADS = 8
NAMES = ("ada", "bob", "cy")
LATER = BEGAN + timedelta(hours=2)


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    """Connections for a crowd. At the end the books add up, and PostgreSQL has seen no deadlock."""
    engine = create_engine(database, pool_size=THREADS + 1, max_overflow=0)
    yield engine
    with Session(engine) as session:
        assert books.violations(session) == []
    engine.dispose()  # a connection's counts arrive when it ends
    with Session(engine) as session:
        deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert session.scalar(text(deadlocks)) == 0
    engine.dispose()


def test_several_hear_everything_at_once_in_orders_of_their_own_while_credits_are_spent(
    engine: Engine, account: Account
) -> None:
    with Session(engine) as session:
        session.add(StripeAccount(id=1, livemode=False, grants_since=BEGAN))
        for name in NAMES:
            make_customer(session, 0, customer_id=name, at=BEGAN)
        session.commit()
    price = pack(account, 90, 900)
    for name in NAMES:
        customer = account.customer(metadata={"user_id": name})
        for _ in range(3):
            account.buy(price, customer=customer)
    for charge in account.all("charges")[::2]:
        account.refund(charge, 300)
    told = {resource: objects(account, resource) for resource in ORDER}
    start = threading.Barrier(THREADS)

    def hear(seed: int) -> None:
        chance = random.Random(seed)
        start.wait(timeout=30)
        for resource in chance.sample(ORDER, len(ORDER)) + chance.sample(ORDER, len(ORDER)):
            seen = chance.sample(told[resource], len(told[resource]))
            for part in (seen[:4], seen[4:]):
                with Session(engine) as session:
                    mirror.store(session, resource, part, LATER)
                    purchases.absorb(session, resource, [one["id"] for one in part], at=LATER)
                    session.commit()

    def spend(name: str) -> None:
        start.wait(timeout=30)
        for turn in range(12):
            with Session(engine) as session, suppress(InsufficientCredits):
                reserve(session, name, credits=20, at=LATER)
                if turn % 4 == 0:
                    grants.add(session, name, 5, source="purchase", reason="-", actor="t", at=LATER)
                session.commit()

    with ThreadPoolExecutor(THREADS) as pool:
        works = [pool.submit(hear, seed) for seed in range(THREADS - len(NAMES))]
        works += [pool.submit(spend, name) for name in NAMES]
        for work in works:
            work.result()
    with Session(engine) as session:
        sold = select(func.count(), func.sum(Purchase.credits), func.sum(Purchase.clawed)).select_from(Purchase)
        assert tuple(session.execute(sold).one()) == (9, 9 * 90, 5 * 30)
        for name in NAMES:
            spent = session.scalar(text("SELECT -sum(amount) FROM credit_transactions WHERE kind = 'charge' "
                                        "AND customer_id = :name"), {"name": name}) or 0  # fmt: skip
            given = session.scalar(text("SELECT sum(amount) FROM credit_transactions WHERE kind = 'grant' "
                                        "AND customer_id = :name"), {"name": name})  # fmt: skip
            clawed = session.scalar(select(func.sum(Purchase.clawed)).where(Purchase.customer_id == name))
            owed = purchases.debts.owed(session, name)
            assert ledger.balance(session, name) == given - spent - clawed + owed
        assert checks.run(session, at=LATER + timedelta(hours=2)).clean
