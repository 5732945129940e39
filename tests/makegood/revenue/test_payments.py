"""Payments: whose they are and what they bought, folded or not, in whatever order Stripe's lists come."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from makegood import books
from makegood.models import BalanceTransaction, Charge, PaymentRefund
from makegood.ranges import Range
from makegood.revenue import payments
from tests.making import make_customer
from tests.money import moved
from tests.selling import buy, pay

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
SPAN = Range(date(2026, 11, 8), date(2026, 11, 15), ZoneInfo("UTC"), NOON + timedelta(days=5))


def told(session: Session) -> tuple[int, int | None]:
    """What moved for credits, and what belongs to nobody, in cents."""
    session.flush()
    return sum(amount for *_, amount in payments.for_credits(session, SPAN)), payments.unlinked(
        session, SPAN
    ).cents


def fold(session: Session) -> None:
    """All that is due, in small steps; the books agree with what is kept."""
    while payments.fold(session, limit=2):
        pass
    assert books.violations(session) == []


def refund(session: Session, charge_id: str, amount: int) -> None:
    """A refund of a charge, whose balance transaction was read first."""
    moved(session, "refund", -amount, at=NOON).source = "re_1"
    session.flush()
    read = {"created_at": NOON, "livemode": False, "body": {}, "read_at": NOON, "currency": "usd"}
    session.add(PaymentRefund(**read, id="re_1", charge_id=charge_id, amount=amount))


@pytest.mark.parametrize("folding", [fold, lambda session: None], ids=["folded each time", "never folded"])
def test_whatever_changes_counts_at_once_and_the_same_when_it_is_folded(
    session: Session, folding: Callable[[Session], None]
) -> None:
    ada = make_customer(session, 0, customer_id="ada", at=NOON)
    pack = buy(session, ada, 100, 1000, at=NOON)
    folding(session)
    charge_id = pay(session, None, 1000, at=NOON, purchase_id=pack)
    assert told(session) == (1000, 1000)
    folding(session)
    assert told(session) == (1000, 1000)

    refund(session, charge_id, 300)
    assert told(session) == (700, 700)
    folding(session)

    charge = session.get_one(Charge, charge_id)
    charge.customer_id, charge.linked_by = ada, "test"
    assert told(session) == (700, 0)
    folding(session)
    assert told(session) == (700, 0)

    session.execute(text("UPDATE stripe_checkout_sessions SET payment_intent = 'pi_of_another'"))
    assert told(session) == (0, 0), "it was another payment that bought the credits"
    folding(session)
    assert told(session) == (0, 0)

    session.execute(text("DELETE FROM stripe_balance_transactions WHERE source = 're_1'"))
    charge.payment_intent = "pi_of_another"
    assert told(session) == (1000, 0)
    folding(session)
    assert told(session) == (1000, 0)


def test_what_changes_nothing_is_not_due(session: Session) -> None:
    charge_id = pay(session, None, 1000, at=NOON)
    fold(session)
    charge = session.get_one(Charge, charge_id)
    charge.read_at, charge.amount_refunded = NOON + timedelta(days=1), 500
    session.get_one(BalanceTransaction, session.scalars(text("SELECT id FROM payments")).one()).read_at = NOON
    session.flush()
    assert session.scalar(text("SELECT count(*) FROM payments_due")) == 0


def test_writers_who_do_not_see_each_other_leave_a_payment_due_until_both_are_counted(database: str) -> None:
    engine = create_engine(database)
    with Session(engine) as one, Session(engine) as other:
        make_customer(one, 0, customer_id="ada", at=NOON)
        one.commit()
        charge_id = pay(one, "ada", 1000, at=NOON)
        moved(other, "charge", 700, at=NOON).source = charge_id
        other.commit()
        with Session(engine) as worker:
            fold(worker)
            worker.commit()
            assert told(worker) == (0, 700)
        one.commit()
        with Session(engine) as reader:
            assert told(reader) == (0, 0)
        with Session(engine) as worker:
            fold(worker)
            assert told(worker) == (0, 0)
            assert worker.scalar(text("SELECT sum(amount) FROM payments WHERE customer_id = 'ada'")) == 1700
    engine.dispose()
