"""Stripe is heard by several at once, while credits are spent: each effect happens once, and nobody deadlocks."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from makegood import books, grants, ledger, purchases
from makegood.errors import InsufficientCredits
from makegood.models import Charge, Purchase, StripeAccount, StripeEvent
from makegood.purchases import checks, fulfilment
from makegood.revenue import payments
from makegood.stripe import applying, mirror
from makegood.stripe.related import Found
from simulator.stripe.billing import Account
from tests.makegood.purchases.conftest import BEGAN, ORDER, objects
from tests.making import make_customer, reserve
from tests.stripe import pack

THREADS = 8
NAMES = ("ada", "bob", "cy")
LATER = BEGAN + timedelta(hours=2)
ALLOWANCE = 5


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


def begin(engine: Engine, *names: str) -> None:
    """Make customers with their allowance, and an account that was just begun."""
    with Session(engine) as session:
        session.add(StripeAccount(id=1, livemode=False, grants_since=BEGAN))
        for name in names:
            make_customer(session, 0, customer_id=name, at=BEGAN)
        session.commit()


def hear(session: Session, account: Account, *resources: str) -> None:
    """Store what the account has, and what follows."""
    for resource in resources:
        ids = mirror.store(session, resource, objects(account, resource), LATER)
        purchases.absorb(session, resource, ids, at=LATER)


def test_what_changes_while_everything_is_looked_at_is_looked_at_again(engine: Engine, account: Account) -> None:
    begin(engine, "ada")
    sold = account.buy(pack(account), client_reference_id="ada")
    with Session(engine) as session:
        hear(session, account, *ORDER)
        session.commit()
    sold["payment_status"] = "unpaid"
    with Session(engine) as writer, Session(engine) as session:
        hear(writer, account, "checkout_sessions")
        assert checks.run_and_alert(session, at=LATER).clean
        session.commit()
        writer.commit()
        assert [one.source_id for one in checks.run(session, at=LATER).not_paid] == [sold["id"]]


def until_somebody_waits(session: Session) -> None:
    """Return once a transaction of this database waits for a lock."""
    waits = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    while not session.scalar(waits):
        session.rollback()


def claimed_event(engine: Engine) -> applying.Claimed:
    """An event that waits."""
    with Session(engine) as session:
        about = {"object_type": "charge", "object_id": "ch_1", "created_at": BEGAN, "livemode": False}
        session.add(StripeEvent(id="evt_1", type="charge.updated", source="webhook", raw=b"{}", **about))
        session.commit()
    return applying.Claimed(("evt_1",), "charge", "ch_1")


def found(account: Account) -> list[Found]:
    """The account's payments, as they are read for an event."""
    resources = ("charges", "products", "checkout_sessions")
    return [Found(name, one["id"], one, LATER) for name in resources for one in objects(account, name)]


def test_a_link_that_another_transaction_kept_from_being_written_is_written_in_the_next_round(
    engine: Engine, account: Account
) -> None:
    begin(engine, "ada")
    account.pay(500, customer=account.customer(metadata={"user_id": "ada"}))
    with Session(engine) as session, Session(engine) as reading:
        hear(session, account, "charges")
        session.commit()
        # It is read again, unchanged: nothing follows from it there.
        assert mirror.store(reading, "charges", objects(account, "charges"), LATER) == []
        hear(session, account, "customers")
        session.commit()
        reading.commit()
        purchases.catch_up(session, at=LATER)
        assert session.scalars(select(Charge.customer_id)).all() == ["ada"]
        assert ledger.balance(session, "ada") == ALLOWANCE


def test_an_event_about_several_customers_waits_for_nobody_who_waits_for_it(
    engine: Engine, account: Account
) -> None:
    begin(engine, "ada", "bob")
    account.buy(pack(account, 90, 900), payment_metadata={"user_id": "bob"})
    with Session(engine) as session:
        hear(session, account, *ORDER)
        session.commit()
    account.refund(account.all("charges")[0], 300)
    account.buy(pack(account, 50, 500), discount=500, client_reference_id="ada")
    claimed, told = claimed_event(engine), found(account)

    def apply() -> None:
        with Session(engine) as session:
            applying.take(session, claimed, told, at=LATER)
            session.commit()

    with ThreadPoolExecutor() as pool, Session(engine) as other, Session(engine) as watching:
        ledger.lock(other, "ada", LATER)
        applied = pool.submit(apply)
        until_somebody_waits(watching)
        ledger.lock(other, "bob", LATER)
        other.commit()
        applied.result()
    with Session(engine) as session:
        assert [ledger.balance(session, name) - ALLOWANCE for name in ("ada", "bob")] == [50, 60]


def test_debts_are_settled_while_nobody_else_draws_consequences(engine: Engine) -> None:
    begin(engine, "ada")
    with Session(engine) as turn, Session(engine) as session:
        purchases.begin(turn)
        session.execute(text("SET LOCAL lock_timeout = '50ms'"))
        with pytest.raises(OperationalError, match="lock timeout"):
            purchases.debts.settle(session, at=LATER)
        session.rollback()
        turn.rollback()
        assert purchases.debts.settle(session, at=LATER) == 0
        assert ledger.balance(session, "ada") == ALLOWANCE


def test_what_waited_for_a_balance_happens_after_what_it_waited_for(engine: Engine, account: Account) -> None:
    begin(engine, "ada")
    account.buy(pack(account, 90, 900), payment_metadata={"user_id": "ada"})
    claimed, told = claimed_event(engine), found(account)

    def apply() -> None:
        with Session(engine) as session:
            applying.take(session, claimed, told)
            session.commit()

    with ThreadPoolExecutor() as pool, Session(engine) as other, Session(engine) as watching:
        ledger.lock(other, "ada", BEGAN)
        applied = pool.submit(apply)
        until_somebody_waits(watching)
        before = datetime.now(UTC)
        other.commit()
        applied.result()
        assert watching.scalars(select(Purchase.granted_at)).one() > before
        assert ledger.balance(watching, "ada") == ALLOWANCE + 90


def test_payments_are_folded_while_newcomers_are_sold_to_in_another_order(
    engine: Engine, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(engine, "amy", "zed")
    for name in ("zed", "amy"):
        account.buy(pack(account, 90, 900), customer=account.customer(metadata={"user_id": name}))
        account.wait(60)
    with Session(engine) as session:
        hear(session, account, "products", "customers", "charges", "balance_transactions")
        session.commit()
    sold, sell = threading.Event(), fulfilment.sell

    def sell_until_the_fold_waits(*args: Any, **details: Any) -> Any:
        done = sell(*args, **details)
        if not sold.is_set():
            sold.set()
            with Session(engine) as watcher:
                until_somebody_waits(watcher)
        return done

    monkeypatch.setattr(fulfilment, "sell", sell_until_the_fold_waits)

    def credit() -> None:
        with Session(engine) as session:
            hear(session, account, "checkout_sessions")
            session.commit()

    def fold() -> None:
        assert sold.wait(timeout=30)
        with Session(engine) as session:
            payments.fold(session)
            session.commit()

    with ThreadPoolExecutor() as pool:
        for work in [pool.submit(credit), pool.submit(fold)]:
            work.result()
    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(Purchase)) == 2
        assert {*session.scalars(text("SELECT customer_id FROM payers WHERE purchased AND payments = 1"))} == {
            "amy",
            "zed",
        }
